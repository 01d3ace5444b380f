"""Puzzles whose cells each take one of a few values, under constraints on groups of candidates.

A candidate is a cell with a value. A constraint says of each of its groups of candidates that exactly one of them is
true, or at most one. Every open cell is such a group by itself. A subclass of ConstraintPuzzle that names its symbols
and its constraints has everything else by default:

    class LatinSquare(ConstraintPuzzle):
        name = "latin_square"
        symbols = ".123456"                      # a blank, then the values 1, 2, ...
        kinds = ("line", "line")                 # constraints of one kind share weights

        def constraints(self, grid):
            row, column, value = np.indices((6, 6, 6))
            return [ExactlyOne("line", 6 * row + value), ExactlyOne("line", 6 * column + value)]

The network sees the candidates that the givens leave as tokens, and the groups as units (model/mixers/units.py). It
sees no value, no position and no size: it is symmetric in everything that the constraints do not tell apart.
Nothing here imports torch before the first puzzle is encoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.backtracking import NodeLimitReached, search
from trmsolve.tasks.base import (
    DataOption,
    InvalidPuzzle,
    Picture,
    Prediction,
    Puzzle,
    Task,
    Violation,
    cell_name,
    cells_of,
    symbol_picture,
)
from trmsolve.tasks.dataset import HINT_OPTIONS, UNSOLVABLE, PairData, pair_mixture
from trmsolve.tasks.grid_text import Alphabet, checked_grids, read_grids
from trmsolve.tasks.groups import AtMostOne, Constraint, ExactlyOne, Groups, count_by_group, groups_for, locating_errors

if TYPE_CHECKING:
    from trmsolve.model.config import TRMConfig
    from trmsolve.model.inputs import Encoded
    from trmsolve.tasks.base import TrainingData
    from trmsolve.text_io import Line

__all__ = ["AtMostOne", "Constraint", "ConstraintPuzzle", "ExactlyOne"]

MAX_CANDIDATE_COUNT = 9  # token ids: candidates of the token's cell, at most this, as the embedding is a fixed table
SEARCH_NODES = 200  # of the first random search for a solution; each further one has twice as many
MAX_SEARCHES = 11
MAX_NAMED = 8  # violations of a kind that check() names


class ConstraintPuzzle(Task):
    """A task with Branches, Generates and Trains (tasks/base.py) from its constraints. Grids are uint8 (rows, columns):
    0 is a blank, 1 .. V are values, and larger numbers are further symbols of the puzzle, which stay as they are.
    """

    # -- what a puzzle defines ------------------------------------------------------------------------------------
    symbols: ClassVar[str] = ""  # the character of 0, 1, 2, ...
    kinds: ClassVar[tuple[str, ...]] = ()  # of constraints(), in order
    size: ClassVar[tuple[int, int]] = (9, 9)  # of generated puzzles, unless one is requested

    def constraints(self, grid: np.ndarray) -> Sequence[Constraint]:
        """The constraints of a grid whose values are all blank: they depend on its size and its further symbols."""
        raise NotImplementedError

    def num_values(self, grid: np.ndarray) -> int:
        """V: a cell takes one of 1 .. V."""
        return len(self.symbols) - 1

    def candidates(self, grid: np.ndarray) -> np.ndarray:
        """bool (rows, columns, V): the values that each cell of an empty grid may take."""
        return np.broadcast_to((grid == 0)[..., None], (*grid.shape, self.num_values(grid)))

    def invalid_reason(self, grid: np.ndarray) -> str:
        """Why a grid of the right characters is no puzzle, for example because of its size; "" if it is one."""
        return ""

    def further_violations(self, question: np.ndarray, answer: np.ndarray) -> list[Violation]:
        """Rules that the constraints do not express, broken by an answer that fulfils all constraints."""
        return []

    def make(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """A random question of that size, and its solution. random_solution() and remove_givens() help."""
        raise TrmsolveError(f"{self.name} has no generator", "define make(self, rng, size), or name files of puzzles")

    # -- reading and writing: characters in rows --------------------------------------------------------------------
    @property
    def alphabet(self) -> Alphabet:
        """The characters of a grid."""
        return Alphabet(tuple(self.symbols))

    def read(self, lines: Iterable[Line], source: str) -> Iterator[Puzzle | InvalidPuzzle]:
        """Grids divided by blank lines, rows joined by `/`, or a CSV with the columns question and answer."""
        return read_grids(lines, source, self.alphabet, self.invalid_reason)

    def format_grid(self, grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """Rows of characters; on one line joined by `/`."""
        return self.alphabet.format(grid, "/" if style == "line" else "\n")

    def format_line(self, grid: np.ndarray) -> str:
        """Rows of characters, joined by `/`."""
        return self.alphabet.format(grid, "/")

    def symbol_grid(self, grid: np.ndarray) -> list[list[str]]:
        """The character of each cell, "" for a blank."""
        return [["" if value == 0 else self.symbols[value] for value in row] for row in grid.tolist()]

    def box(self, question: np.ndarray) -> tuple[int, int] | None:
        """Rows and columns between two heavy lines of a picture; None: no lines."""
        return None

    def picture(
        self, question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None
    ) -> Picture:
        """The grid with a role for each cell; open cells have their candidates as pencil marks."""
        candidates = np.full(question.size, "", object)
        for cell, value in zip(*np.divmod(self.tokens(question), self.num_values(question)), strict=True):
            candidates[cell] += self.symbols[value + 1]
        marks = candidates.reshape(question.shape).tolist()
        return symbol_picture(self, question, prediction, previous, self.box(question), marks)

    # -- candidates -------------------------------------------------------------------------------------------------
    def groups(self, question: np.ndarray) -> Groups:
        """The groups of the question's empty grid; computed once for each."""
        return groups_for(self, question)

    def givens(self, question: np.ndarray) -> np.ndarray:
        """int64: the candidates that are given, in reading order."""
        num_values = self.num_values(question)
        cells = np.flatnonzero((question > 0) & (question <= num_values))
        return cells * num_values + question.reshape(-1)[cells].astype(np.int64) - 1

    def tokens(self, question: np.ndarray) -> np.ndarray:
        """int64 (L,): the candidates of the open cells that no given excludes, in reading order."""
        groups = self.groups(question)
        return self._tokens(question, groups, count_by_group(groups, self.givens(question)))

    def _tokens(self, question: np.ndarray, groups: Groups, num_given: np.ndarray) -> np.ndarray:
        excluded = np.append(num_given > 0, False)[groups.of_candidate].any(0)  # (N,)
        possible = (groups.allowed & ~excluded).reshape(-1, groups.num_values)  # (N,) -> (cells, V)
        return np.flatnonzero(possible & (question.reshape(-1) == 0)[:, None])

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool, same shape: the blanks that take a value."""
        groups = self.groups(question)
        return (question == 0) & groups.allowed.reshape(*question.shape, -1).any(-1)

    def encode(self, question: np.ndarray) -> Encoded | None:
        """One token for each candidate, one choice for each open cell. Meanings: cell * V + value, values from 0.

        None when two givens exclude each other, or leave an open cell or a group that needs one without candidates.
        """
        # The edge type lives beside its layer, and so imports torch.
        from trmsolve.model.inputs import Encoded
        from trmsolve.model.mixers.units import UnitEdges

        groups, givens = self.groups(question), self.givens(question)
        num_given = count_by_group(groups, givens)
        if not groups.allowed[givens].all() or (num_given > 1).any():
            return None
        tokens = self._tokens(question, groups, num_given)
        of_token = groups.of_candidate[:, tokens]  # (R, L)
        num_tokens = np.bincount(of_token.reshape(-1), minlength=groups.num_groups + 1)[:-1]  # (G,)
        present = num_tokens > 0
        if (groups.exactly & ~present & (num_given == 0)).any():
            return None
        before = np.concatenate([[0], np.cumsum(present)])  # (G + 1,) present groups before each
        rank = before[:-1] - before[groups.first_of_kind]  # (G,) within the kind
        unit = np.append(rank, -1)[of_token].astype(np.int32)  # (R, L)
        num_units = int(np.diff(before[groups.first]).max())
        per_cell = num_tokens[: groups.first[1]][present[: groups.first[1]]]  # (U,)
        x = np.minimum(per_cell, MAX_CANDIDATE_COUNT)[unit[0]].astype(np.int64)
        edges = UnitEdges(unit, num_units, groups.kind_of_row)
        return Encoded(x, edges, np.cumsum(per_cell) - per_cell, per_cell, tokens)

    def target(self, question: np.ndarray, solution: np.ndarray) -> np.ndarray:
        """int64 (U,): for every open cell the rank of the solution's value among the cell's tokens."""
        num_values = self.num_values(question)
        cell, value = np.divmod(self.tokens(question), num_values)  # (L,) each
        right = solution.reshape(-1)[cell] == value + 1  # (L,); true for one token of each cell
        first = np.searchsorted(cell, cell)  # the first token of the same cell
        return (np.arange(len(cell)) - first)[right]

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The grid with one chosen candidate in every open cell: int64 (U,) meanings, float32 (U,) confidence."""
        num_values = self.num_values(question)
        answer, confidences = question.copy(), np.ones(question.shape, np.float32)
        answer.reshape(-1)[meanings // num_values] = meanings % num_values + 1
        confidences.reshape(-1)[meanings // num_values] = confidence
        return Prediction(answer, confidences)

    def infeasible_reason(self, question: np.ndarray) -> str:
        """Why encode() gives None."""
        groups, givens = self.groups(question), self.givens(question)
        for given in givens[~groups.allowed[givens]].tolist():
            return f"{self.describe_assignment(question, given)} is no value of this cell"
        if broken := self._duplicates(question, groups):
            return broken[0].message
        num_given = count_by_group(groups, givens)
        num_tokens = count_by_group(groups, self._tokens(question, groups, num_given))
        empty = np.flatnonzero(groups.exactly & (num_given + num_tokens == 0))
        return (
            f"the givens leave {self._name_of(groups, int(empty[0]), question)} without a value" if len(empty) else ""
        )

    # -- rules: they judge and never supply ---------------------------------------------------------------------------
    def is_solution(self, question: np.ndarray, answer: np.ndarray) -> bool:
        """Whether check() would be empty. Both of one shape."""
        is_open = self.open_cells(question)
        if not (answer == question)[~is_open].all() or not self._fulfils(answer, question):
            return False
        return not self.further_violations(question, answer)

    def _fulfils(self, answer: np.ndarray, question: np.ndarray) -> bool:
        groups = self.groups(question)
        chosen = self.givens(answer)
        cells = int(groups.allowed.reshape(-1, groups.num_values).any(1).sum())
        if len(chosen) != cells or not groups.allowed[chosen].all():
            return False
        held = count_by_group(groups, chosen)
        return bool((held <= 1).all() and (held[groups.exactly] == 1).all())

    def check(self, question: np.ndarray, answer: np.ndarray) -> list[Violation]:
        """Every rule that the answer breaks; empty exactly when it is a solution of the question.

        answer: any array; a wrong shape is a violation like any other.
        """
        answer = np.asarray(answer)
        if answer.shape != question.shape:
            return [Violation(f"the answer has shape {answer.shape}, the question {question.shape}")]
        groups = self.groups(question)
        allowed = groups.allowed.reshape(*question.shape, -1)
        is_open = self.open_cells(question)
        violations = []
        for cell in cells_of(answer != question):
            value = int(answer[cell])
            if not is_open[cell]:
                symbol = self.symbols[question[cell]]
                violations.append(Violation(f"{cell_name(cell)} no longer holds the given {symbol}", (cell,)))
            elif not (0 < value <= groups.num_values and allowed[cell][value - 1]):
                violations.append(
                    Violation(f"{cell_name(cell)} holds {value}, which is no value of this cell", (cell,))
                )
        for cell in cells_of(is_open & (answer == 0)):
            violations.append(Violation(f"{cell_name(cell)} is blank", (cell,)))
        violations += self._duplicates(answer, groups) or self._missing(answer, groups)
        return violations or self.further_violations(question, answer)

    def _duplicates(self, grid: np.ndarray, groups: Groups) -> list[Violation]:
        """Groups that hold more than one candidate; blanks never conflict."""
        chosen = self.givens(grid)
        violations = []
        for group in np.flatnonzero(count_by_group(groups, chosen) > 1)[:MAX_NAMED].tolist():
            held = np.intersect1d(chosen, groups.members(group)) // groups.num_values
            cells = [divmod(cell, grid.shape[1]) for cell in held.tolist()]
            holders = " and ".join(f"{cell_name(cell)}={self.symbols[grid[cell]]}" for cell in cells)
            violations.append(Violation(f"{self._kind_of(groups, group)}: {holders} exclude each other", tuple(cells)))
        return violations

    def _missing(self, grid: np.ndarray, groups: Groups) -> list[Violation]:
        """Groups that need a candidate and hold none, other than cells."""
        empty = np.flatnonzero(groups.exactly & (count_by_group(groups, self.givens(grid)) == 0))
        names = [self._name_of(groups, group, grid) for group in empty.tolist() if group >= groups.first[1]]
        return [Violation(f"{name} is missing") for name in names[:MAX_NAMED]]

    def _kind_of(self, groups: Groups, group: int) -> str:
        return ("cell", *self.kinds)[int(np.searchsorted(groups.first, group, side="right")) - 1]

    def _name_of(self, groups: Groups, group: int, grid: np.ndarray) -> str:
        """A group for people: its kind, and one candidate of it."""
        cell, value = divmod(int(groups.members(group)[0]), groups.num_values)
        place = cell_name(divmod(cell, grid.shape[1]))
        if group < groups.first[1]:
            return place
        return f"the {self.symbols[value + 1]} of the {self._kind_of(groups, group)} through {place}"

    # -- Branches -----------------------------------------------------------------------------------------------------
    def with_assignment(self, question: np.ndarray, meaning: int) -> np.ndarray:
        """A copy of the question in which one candidate is given."""
        cell, value = divmod(int(meaning), self.num_values(question))
        extended = question.copy()
        extended.reshape(-1)[cell] = value + 1
        return extended

    def describe_assignment(self, question: np.ndarray, meaning: int) -> str:
        """A candidate for people: r3c5=7."""
        cell, value = divmod(int(meaning), self.num_values(question))
        return f"{cell_name(divmod(cell, question.shape[1]))}={self.symbols[value + 1]}"

    # -- Generates ----------------------------------------------------------------------------------------------------
    def generate(
        self, seed: int, index: int, size: int | tuple[int, int] | None = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Puzzle number `index` of a seed: question, solution, difficulty. Raises ValueError for a size that make()
        refuses.
        """
        shape = self.size if size is None else (size, size) if isinstance(size, int) else size
        with locating_errors(self):
            grids = self.make(np.random.default_rng([seed, index]), shape, **options)
        question, solution = checked_grids(grids, self.name, len(self.symbols))
        return question, solution, {"givens": len(self.givens(question))}

    def solutions(
        self,
        question: np.ndarray,
        limit: int = 2,
        rng: np.random.Generator | None = None,
        max_nodes: int | None = None,
    ) -> list[np.ndarray]:
        """Up to `limit` solutions by exhaustive search, for generators and tests; never used to solve for the user.

        rng: tries values in random order. Rules beyond the constraints (further_violations) are checked at the end.
        Raises NodeLimitReached after max_nodes nodes.
        """
        answers = []
        for chosen in search(self.groups(question), self.givens(question), rng, max_nodes):
            answer = self.decode(question, np.asarray(chosen), np.ones(len(chosen), np.float32)).answer
            if not self.further_violations(question, answer):
                answers.append(answer)
            if len(answers) == limit:
                break
        return answers

    def random_solution(self, rng: np.random.Generator, question: np.ndarray) -> np.ndarray:
        """Some solution. Raises ValueError when there is none, or none is found in MAX_SEARCHES searches.

        A random search that has gone wrong early may take hours, so it starts again after a number of nodes.
        """
        puzzle = f"a {self.name} of {question.shape[0]}x{question.shape[1]}"
        for k in range(MAX_SEARCHES):
            with suppress(NodeLimitReached):
                for answer in self.solutions(question, 1, rng, SEARCH_NODES << k):
                    return answer
                raise ValueError(f"{puzzle} has no solution")
        raise ValueError(f"{puzzle}: {MAX_SEARCHES} random searches found no solution")

    def remove_givens(
        self, rng: np.random.Generator, solution: np.ndarray, keep: int = 0, givens: np.ndarray | None = None
    ) -> np.ndarray:
        """A question with this unique solution: givens are blanked in random order while it stays unique.

        keep: stops at this number of givens. givens: what is given at first; by default the whole solution.
        """
        question = (solution if givens is None else givens).copy()
        cells = np.flatnonzero((question > 0) & (question <= self.num_values(question)))
        left = len(cells)
        for cell in rng.permutation(cells).tolist():
            if left <= keep:
                break
            without = question.copy()
            without.reshape(-1)[cell] = 0
            if len(self.solutions(without)) == 1:
                question, left = without, left - 1
        return question

    # -- Trains -------------------------------------------------------------------------------------------------------
    train_defaults: ClassVar[Mapping[str, Any]] = {"bptt_steps": 4, "lr": 0.006}
    data_options: ClassVar[tuple[DataOption, ...]] = (*HINT_OPTIONS, UNSOLVABLE)

    @property
    def weight_sharing(self) -> tuple[int, ...]:
        """The weights that cells and each constraint use: one set for each kind."""
        names = list(dict.fromkeys(self.kinds))
        return (0, *(1 + names.index(kind) for kind in self.kinds))

    @property
    def model_defaults(self) -> Mapping[str, Any]:
        """Fields of TRMConfig. The scale 1/sqrt(9) keeps the variance of the sum of nine candidates near 1."""
        return {"mixer": "units", "weight_sharing": self.weight_sharing, "unit_scale": 1 / 3, "N_sup": 32}

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> TrainingData:
        """Files of puzzles with answers, and the generator, mixed by weight."""
        return PairData(pair_mixture(self, specs, seed), seed, task=self, **options)

    def model_config(self, config: TRMConfig) -> TRMConfig:
        """A checkpoint's configuration for this task: weights of a kind serve any number of constraints of the kind."""
        from dataclasses import replace

        if config.seq_len:
            return config
        if config.mixer != "units" or max(config.weight_sharing) != max(self.weight_sharing):
            raise TrmsolveError(
                f"{self.name} needs the mixer 'units' with weights for {1 + max(self.weight_sharing)} kinds of groups",
                "train a model for it: trmsolve train --task",
            )
        return replace(config, weight_sharing=self.weight_sharing)
