"""The public Python API: load a checkpoint, solve puzzles, watch every step.

import trmsolve

model = trmsolve.load("sudoku")
for result in model.solve(["4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"]):
    print(result.solved, result.prediction.answer)
for event in model.watch("4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"):
    print(event)                                         # a StepEvent per step, at last a Result
"""

from __future__ import annotations

import os
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import fields, replace
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import torch

from trmsolve.checkpoint import CheckpointFile, available, find, load_tensors
from trmsolve.device import DeviceSpec, resolve_device, set_device
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RefineEvent
from trmsolve.inference.options import Result, SolveOptions, StepEvent
from trmsolve.inference.solver import Solver
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import refine
from trmsolve.model.trm import TRM
from trmsolve.render.notebook import NotebookView
from trmsolve.tasks import get, origin
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from trmsolve.tasks.few_shot import FewShotTask

Options = TypeVar("Options")

MANY_PUZZLES = 10_000  # rows of a table of puzzle embeddings that is never built
MAX_SLIDER_STEPS = 200  # steps of a watched puzzle that its result keeps for the slider


class Model:
    """A checkpoint, ready to solve. Made by `load`."""

    def __init__(self, checkpoint: CheckpointFile, device_spec: DeviceSpec, task: Task | None = None) -> None:
        self.checkpoint, self.device_spec, self._task = checkpoint, device_spec, task
        set_device(device_spec.device)
        config = TRMConfig.from_dict(checkpoint.header.model)
        self.config = config if task is None else task.model_config(config)
        # The tensors of the file become the weights. Building a network of shapes alone saves the memory of a large
        # table of puzzle embeddings, but imports torch._dynamo, which takes longer than everything else here.
        with torch.device("meta") if self.config.num_puzzles > MANY_PUZZLES else nullcontext():
            self.network = TRM(self.config)
        try:
            self.network.load_state_dict(load_tensors(checkpoint.path, checkpoint.sha256), assign=True)
        except RuntimeError as error:
            raise TrmsolveError(f"{checkpoint.path}: weights and configuration disagree: {error}") from error
        self.network.to(device_spec.device).cast(device_spec.dtype).eval()

    @cached_property
    def task(self) -> Task:
        """Raises TrmsolveError when this version does not know the checkpoint's task; `refine` works all the same."""
        task = self._task or get(self.checkpoint.header.task)
        return task.with_settings(self.checkpoint.header.settings).for_model(self.config)

    @cached_property
    def solver(self) -> Solver:
        """What `solve` and `watch` run on. Raises TrmsolveError for ARC, whose tasks are adapted to (`adapt`)."""
        if isinstance(self.task, Demonstrates):
            raise TrmsolveError(
                f"{self.checkpoint.name} adapts to tasks, it does not solve puzzles", "Model.adapt(tasks)"
            )
        return Solver(self.task, self.network, self.device_spec.dtype)

    def refine(
        self, tokens: ArrayLike | Tensor, puzzle_ids: ArrayLike | Tensor | None = None, steps: int = 16
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The bare network of a model that takes a token for each cell, as the published ones do
        (model/sequence_model.py).

        tokens: integers (B, S), the cells' token ids. puzzle_ids: integers (B,), rows of the model's table of puzzle
        embeddings; None: row 0 for all. Yields after every supervision step the logits, float32 (B, S, vocabulary), and
        the halting logit, float32 (B,). Raises TrmsolveError when the model, the shapes or the ids do not allow it.
        """
        return refine(self.network, self.device_spec.dtype, tokens, puzzle_ids, steps)

    def solve(
        self,
        puzzles: str | Puzzle | Iterable[str | Puzzle | InvalidPuzzle],
        options: SolveOptions | None = None,
        *,
        deadline: float | None = None,
        **settings: Any,
    ) -> Iterator[Result]:
        """One Result per puzzle, in order, as soon as it is available.

        puzzles: one text or several, in the formats of the command line, or Puzzle records. options: SolveOptions, or
        its fields as keyword arguments. deadline: time.monotonic() after which errors.DeadlineExceeded is
        raised. Raises TrmsolveError for invalid settings; a text that is not a puzzle gives a Result with `error`.
        """
        options = options_with(SolveOptions, options, settings)
        results = self.solver.solve(self._records(_as_list(puzzles)), options, deadline=deadline)
        return self._with_views(results)  # type: ignore[return-value]

    def solve_one(
        self,
        puzzle: str | Puzzle,
        options: SolveOptions | None = None,
        *,
        deadline: float | None = None,
        **settings: Any,
    ) -> Result:
        """The Result of one puzzle, as `solve` gives it. Raises TrmsolveError where the text holds several."""
        require("puzzle", puzzle, (str, Puzzle), "the text of a puzzle, or a Puzzle")
        records = list(self._records([puzzle]))
        if len(records) != 1:
            raise TrmsolveError(f"one puzzle expected, found {len(records)}", "Model.solve(text) takes several")
        return next(self.solve(records, options, deadline=deadline, **settings))

    def watch(
        self,
        puzzles: str | Puzzle | Iterable[str | Puzzle | InvalidPuzzle],
        options: SolveOptions | None = None,
        *,
        deadline: float | None = None,
        **settings: Any,
    ) -> Iterator[StepEvent | Result]:
        """The results of `solve`, and a StepEvent after every supervision step of every puzzle."""
        options = options_with(SolveOptions, options, settings)
        events = self.solver.solve(self._records(_as_list(puzzles)), options, steps=True, deadline=deadline)
        return self._with_views(events)

    def adapt(
        self,
        tasks: Iterable[FewShotTask | InvalidPuzzle],
        options: AdaptOptions | None = None,
        *,
        events: bool = False,
        deadline: float | None = None,
        **settings: Any,
    ) -> Iterator[AdaptEvent | RefineEvent | FewShotResult]:
        """One FewShotResult per ARC task, in order, as soon as it is available; with `events` also progress events.

        options: AdaptOptions, or its fields as keyword arguments. deadline: time.monotonic() after which
        errors.DeadlineExceeded is raised. Raises TrmsolveError for a checkpoint that does not support
        test-time training. The model is not changed: every task starts from the checkpoint's weights.
        """
        from trmsolve.inference.test_time_training import adapt

        options = options_with(AdaptOptions, options, settings)
        require_iterable("tasks", tasks, "tasks as `model.task.read_files([FILE])` reads them")
        task = self.task
        if not isinstance(task, Demonstrates):
            raise TrmsolveError(f"{self.checkpoint.name} does not adapt to tasks", "use Model.solve(puzzles)")
        weights = load_tensors(self.checkpoint.path, self.checkpoint.sha256)
        yield from adapt(
            task,
            self.config,
            weights,
            self.device_spec,
            tasks,
            options,
            events=events,
            deadline=deadline,
            name=self.checkpoint.name,
        )

    def _records(self, puzzles: Iterable[str | Puzzle | InvalidPuzzle]) -> Iterator[Puzzle | InvalidPuzzle]:
        for number, puzzle in enumerate(puzzles, 1):
            if isinstance(puzzle, str):
                lines = [Line(n, text) for n, text in enumerate(puzzle.splitlines(), 1)]
                yield from map(self._supported, self.task.read(lines, f"puzzle {number}"))
            else:
                require(f"puzzle {number}", puzzle, (Puzzle, InvalidPuzzle), "the text of a puzzle, or a Puzzle")
                yield self._supported(puzzle)

    def _with_views(self, items: Iterator[StepEvent | Result]) -> Iterator[StepEvent | Result]:
        """Steps and results that can show themselves; a result together with the last steps of its puzzle."""
        view, steps = NotebookView(self.task), dict[int, deque[StepEvent]]()  # steps by id of their puzzle
        with closing(items):  # type: ignore[type-var]
            for item in items:
                if isinstance(item, StepEvent):
                    item = replace(item, view=view)
                    steps.setdefault(id(item.puzzle), deque(maxlen=MAX_SLIDER_STEPS)).append(item)
                else:
                    events = steps.pop(id(item.puzzle), None)
                    item = replace(item, view=NotebookView(self.task, tuple(events)) if events else view)
                yield item

    def _supported(self, record: Puzzle | InvalidPuzzle) -> Puzzle | InvalidPuzzle:
        """The record, or an InvalidPuzzle if the model does not support the puzzle."""
        if isinstance(record, InvalidPuzzle) or not (reason := self.task.unsupported_reason(record.question)):
            return record
        return InvalidPuzzle(record.source, reason, self.task.format_line(record.question))


def _as_list(puzzles: str | Puzzle | Iterable[str | Puzzle | InvalidPuzzle]) -> Iterable[str | Puzzle | InvalidPuzzle]:
    """A list of puzzles: a single text or Puzzle becomes a list of one. Raises TrmsolveError for other types."""
    if isinstance(puzzles, str | Puzzle):
        return [puzzles]
    require_iterable("puzzles", puzzles, "the text of puzzles, a Puzzle, or a list of these")
    return puzzles


def load(
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    task: str | Task | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> Model:
    """Load a checkpoint by name, file or hf:// address; by default the bundled one of `task` (default: sudoku).

    task: its name, or a Task, which may also use checkpoints of the task that it `serves`. device: auto, cpu, cuda,
    cuda:N or mps. dtype: auto, float32 or bfloat16. Raises TrmsolveError, with a hint.
    """
    require("checkpoint", checkpoint, (str, os.PathLike, type(None)), "a name, a file or an hf:// address")
    require("task", task, (str, Task, type(None)), "a name or a Task")
    require("device", device, (str,), "auto, cpu, cuda, cuda:N or mps")
    require("dtype", dtype, (str,), "auto, float32 or bfloat16")
    spec = None if checkpoint is None else os.fspath(checkpoint)
    if isinstance(task, Task):
        return Model(_find_for(spec, task), resolve_device(device, dtype), task)
    if spec is None and task is None:
        task = "sudoku"
    return Model(find(spec, task), resolve_device(device, dtype))


def _find_for(spec: str | None, task: Task) -> CheckpointFile:
    """The checkpoint for a task: one of the task, or of the task that it `serves`."""
    if spec is not None and task.serves and (checkpoint := find(spec, None)).header.task == task.serves:
        return checkpoint
    if spec is None and task.serves and task.name not in [listing.name for listing in available()]:
        return find(None, task.serves)
    try:
        return find(spec, task.name)
    except TrmsolveError as error:
        if spec is None:
            raise TrmsolveError(
                f"no checkpoint of {task.name} is installed",
                f"name one: --checkpoint FILE, or train: trmsolve train --task {origin(task.name)}",
            ) from error
        raise


# -- arguments: wrong types and unknown settings become errors that say what is right ------------------------------
def options_with(kind: type[Options], options: Options | None, settings: Mapping[str, Any]) -> Options:
    """`options`, by default the defaults of `kind`, with some fields replaced; raises TrmsolveError."""
    if options is None:
        options = kind()
    elif not isinstance(options, kind):
        raise TrmsolveError(f"options: expected {kind.__name__}, found {value_text(options)}")
    hints, names = get_type_hints(kind), [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name, value in settings.items():
        if name not in names:
            raise TrmsolveError(f"unknown setting '{name}'", did_you_mean(name, names))
        if not _fits(value, hints[name]):
            raise TrmsolveError(f"{name}: expected {_name(hints[name])}, found {value_text(value)}")
    return replace(options, **settings)  # type: ignore[type-var]


def require(name: str, value: Any, expected: tuple[type, ...], words: str) -> None:
    """Raise TrmsolveError unless an argument has one of these types. words: them in words."""
    if not isinstance(value, expected):
        raise TrmsolveError(f"{name}: expected {words}, found {value_text(value)}")


def require_iterable(name: str, value: Any, words: str) -> None:
    """Raise TrmsolveError unless an argument can be iterated. words: what it may be."""
    if not isinstance(value, Iterable):
        raise TrmsolveError(f"{name}: expected {words}, found {value_text(value)}")


def value_text(value: object) -> str:
    """A value and its type, shortened."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type(value).__name__})"


def _fits(value: Any, hint: Any) -> bool:
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, bool):
        return bool in kinds
    allowed = tuple({int: Integral, float: Real}.get(kind, kind) for kind in kinds)
    return isinstance(value, allowed)


def _name(hint: Any) -> str:
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return " or ".join("None" if kind is types.NoneType else kind.__name__ for kind in kinds)
