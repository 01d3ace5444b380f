"""Test-time training: a copy of the network learns the demonstrations of a task, or of several, and answers its tests.

First only the task's rows of the table are trained, from the mean of the rows of all trained tasks; then everything.
One demonstration of each task is left out at first: when it is drawn right without having been shown, the rule is
found. Then, and otherwise when most of the time is over, it joins the others.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trmsolve.adapting.batch import Asked, Sides, chunks, exchanging
from trmsolve.adapting.options import Adapting, AdaptOptions, Refining, TaskResult
from trmsolve.adapting.votes import Ballot, ranked
from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import ROUND
from trmsolve.model.trm import TRM
from trmsolve.solving.recursion import Reading, Recursion, Run
from trmsolve.tasks.arc.grids import ArcTask
from trmsolve.tasks.base import Encoded, Sample
from trmsolve.threads import tuner
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import losses
from trmsolve.training.optim import Optimizers, sign_step
from trmsolve.training.slots import Book, Slots


@dataclass(frozen=True)
class Schedule:
    """How the steps are spent, measured on tasks that were held out from training (docs/records.md)."""

    embedding: float = 0.2  # share of all steps in which only the tasks' rows are trained
    joins: float = 0.6  # share after which what was left out joins
    rest: float = 0.15  # share that is still spent once the rule is found
    lr: float = 0.02  # of the matrices (Muon)
    row_lr: float = 0.02  # of the rows (sign-SGD)
    hold: float = 0.5  # share at the full rates; then they fall
    floor: float = 0.05  # of the rates
    tokens: int = 1200  # in a batch, roughly
    check: int = 25  # steps between two looks at what is left out
    found: float = 0.75  # share of views in which what is left out is right when the rule is found
    steps_checked: int = 8  # supervision steps of such a look
    checked: int = 8  # views of such a look
    doubt: float = 0.1  # what a vote weighs, of 1, where what was left out was never right
    shown: int = 4  # views in which the demonstrations are asked for in the end


class Adaptation:
    """A network that adapts to tasks. Made of the checkpoint's configuration and weights, which it copies."""

    def __init__(
        self,
        config: TRMConfig,
        weights: dict[str, Tensor],
        tasks: Sequence[ArcTask],
        options: AdaptOptions,
        device: torch.device,
        autocast: bool,
        schedule: Schedule | None = None,
    ) -> None:
        self.tasks, self.options, self.schedule = tuple(tasks), options, schedule or Schedule()
        self.autocast, self.device = autocast, device
        torch.manual_seed(options.seed)
        self.model = TRM(config)
        self.model.load_state_dict(weights)
        # A new table: for each task a row for each view.
        self.model.embed.puzzles = self.model.embed.rows(options.votes * len(tasks))["embed.puzzles"]
        self.model.to(device)
        self.sides = [Sides(task, options.votes, i * options.votes, options.seed) for i, task in enumerate(tasks)]
        self.left_out: list[int | None] = []  # for each task the demonstration that is left out, where it has several
        self.pool: list[list[Sample]] = []  # what is trained on: pairs as views see them, each in one way or several
        self.later: list[list[Sample]] = []  # what joins it
        for sides in self.sides:
            samples = sides.samples()
            self.left_out.append(options.seed % len(samples) if len(samples) > 1 else None)
            for number, of_pair in enumerate(samples):
                (self.later if number == self.left_out[-1] else self.pool).extend(of_pair)
        self.step, self.began = 0, time.monotonic()
        self.recent: deque[float] = deque(maxlen=64)  # whether puzzles that left the batch were right
        self.loss = 0.0
        self.checks: list[float] = []  # share of views in which what is left out was right
        self.trust: dict[tuple[int, bool], float] = {}  # the same by task and by whether colours are exchanged
        self.ends = 1.0  # the share at which it is over
        cells = float(np.mean([len(ways[0].target) for ways in (*self.pool, *self.later)]))
        size = int(np.clip(self.schedule.tokens // cells, 4, 4 * len(self.pool)))
        self.config = TrainConfig(batch=size, lr=self.schedule.lr, solvable_weight=0.0, warmup=10, seed=options.seed)
        self.optimizers = Optimizers(self.model, self.config)
        book = Book(size, config.N_sup, options.seed, explore=0.1)
        self.slots = Slots(self._draw, self.model, book, range(size), self._dtype, ROUND)
        # Tokens, each as often as answering takes supervision steps, and the seconds that one takes once.
        questions = [one for sides in self.sides for one in self._questions(sides)]
        self.asks = options.max_steps * sum(len(one.encoded.x) for one in questions)
        self.pace = 0.0

    @property
    def _dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.autocast else torch.float32

    def _draw(self, index: int) -> Sample:
        """What is trained on so far, in a new random order each time round, and the next way that a view sees it."""
        turn, place = divmod(index, len(self.pool))
        order = np.random.default_rng([self.options.seed, turn]).permutation(len(self.pool))
        ways = self.pool[order[place]]
        return ways[turn % len(ways)]

    @property
    def seconds(self) -> float:
        """Since this began."""
        return time.monotonic() - self.began

    @property
    def share(self) -> float:
        """Of the steps, or of the time, that is over."""
        number, options = len(self.tasks), self.options
        by_steps = self.step / (options.steps * number) if options.steps else 0.0
        if options.budget is None:
            return min(1.0, by_steps)
        left = options.budget * number - self.pace * self.asks  # answering takes its part
        return min(1.0, max(by_steps, self.seconds / left if left > 0 else 1.0))

    # -- learning ---------------------------------------------------------------------------------------------------
    def run(self) -> Iterator[Adapting]:
        """Take all steps; says how it goes every few of them."""
        plan = self.schedule
        said = 0.0
        yield self._state()
        while (share := self.share) < self.ends:
            if self.later and share >= plan.joins:
                self._join()
            with tuner().step(len(self.slots.tokens)) if self.device.type == "cpu" else nullcontext():
                self._step(share)
            if self.later and self.step % plan.check == 0:
                self.checks.append(self._check())
                if self.checks[-1] >= plan.found:
                    self._join()
                    self.ends = min(1.0, self.share + plan.rest)
            if self.seconds - said >= 0.5:
                said = self.seconds
                yield self._state()
        yield self._state()

    def _state(self) -> Adapting:
        phase = "embedding" if self.share < self.schedule.embedding else "everything"
        right = float(np.mean(self.recent)) if self.recent else 0.0
        left_out = self.checks[-1] if self.checks else None
        return Adapting(self.tasks, phase, self.step, self.seconds, self.share, self.loss, right, left_out)

    def _step(self, share: float) -> None:
        slots, model, plan, began = self.slots, self.model, self.schedule, time.monotonic()
        everything = share >= plan.embedding
        left = (self.ends - share) / (self.ends * (1 - plan.hold))
        rate = min(1.0, (self.step + 1) / 10) * max(plan.floor, min(1.0, left))
        model.requires_grad_(everything)
        ids, names = model.embed.named(slots.tokens, slots.layout)
        names.requires_grad_()
        with torch.autocast(slots.device.type, torch.bfloat16, enabled=self.autocast):
            step = model(slots.tokens, slots.y, slots.z, slots.layout, names)
        found = losses(step, slots.labels, self.config)
        found.total.backward()
        if everything:
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.clip)
            self.optimizers.step(rate)
        sign_step(model.embed.puzzles, ids, names.grad, rate * plan.row_lr, 0.0)
        self.step += 1
        self.loss += (found.choices.item() - self.loss) * max(0.05, 1 / self.step)
        right = found.right.cpu()
        done = slots.advance(step)
        self.recent.extend(right[done].float().tolist())
        if self.step > 1:  # the first one loads libraries; without a gradient a step takes about a third of the time
            self.pace += ((time.monotonic() - began) / (3 * len(slots.tokens)) - self.pace) / min(self.step - 1, 20)

    def _join(self) -> None:
        self.pool, self.later = [*self.pool, *self.later], []

    # -- asking -----------------------------------------------------------------------------------------------------
    def _check(self) -> float:
        """The share of views in which what is left out is right; of all tasks together, and kept by kind of view."""
        found: dict[tuple[int, bool], list[bool]] = {}
        for sides, out in zip(self.sides, self.left_out, strict=True):
            if out is not None:
                pair = sides.task.demonstrations[out]
                asked = list(sides.asked([pair.input], self.schedule.checked))
                for one, reading in zip(asked, self._readings(asked, self.schedule.steps_checked), strict=True):
                    right = np.array_equal(one.guess(reading).answer, pair.output)
                    found.setdefault((sides.row, exchanging(one.v)), []).append(right)
        self.trust = {kind: float(np.mean(right)) for kind, right in found.items()}
        return float(np.mean([right for of_kind in found.values() for right in of_kind]))

    def _weight(self, sides: Sides, one: Asked, reading: Reading) -> float:
        """Of a view's vote: what the halting head says, and more where such views drew what had been left out."""
        return reading.halt * (self.schedule.doubt + self.trust.get((sides.row, exchanging(one.v)), 1.0))

    def _readings(self, asked: Sequence[Asked], steps: int) -> list[Reading]:
        """What the network says to each question in the end."""
        found: list[Reading] = []
        for chunk in chunks(asked, 4 * self.schedule.tokens):
            *_, last = self._rolled([one.encoded for one in chunk], steps)
            found += last
        return found

    def _rolled(self, questions: Sequence[Encoded], steps: int) -> Iterator[list[Reading]]:
        """What it says after every supervision step."""
        recursion, runs = Recursion(self.model, self._dtype), [Run(encoded, steps) for encoded in questions]
        recursion.admit(runs)
        for _ in range(steps):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                recursion.advance()
            yield [run.reading for run in runs if run.reading]

    def answers(self, events: bool = False) -> Iterator[Refining | TaskResult]:
        """A TaskResult for each task; before it, with `events`, how its answers come to be, seen as the task stands."""
        for sides in self.sides:
            demonstrations, number = sides.task.demonstrations, len(sides.task.tests)
            asked = self._questions(sides)
            if events:
                for one in (a for a in asked[: number * sides.views : sides.views]):
                    for k, (reading,) in enumerate(self._rolled([one.encoded], self.options.max_steps), 1):
                        guess = one.guess(reading)
                        yield Refining(sides.task, one.number, k, self.options.max_steps, guess, reading.halt)
            answers = list(zip(asked, self._readings(asked, self.options.max_steps), strict=True))
            ballots: list[list[Ballot]] = [[] for _ in range(number)]
            for one, reading in answers[: number * sides.views]:
                ballots[one.number].append(one.ballot(reading, self._weight(sides, one, reading)))
            again = [(one.guess(r).answer, demonstrations[one.number]) for one, r in answers[number * sides.views :]]
            right = [np.array_equal(answer, pair.output) for answer, pair in again]
            yield TaskResult(
                sides.task,
                tuple(map(ranked, ballots)),
                views=sides.views,
                reproduced=float(np.mean(right)),
                left_out=self.checks[-1] if self.checks else None,
                steps=self.step,
                seconds=self.seconds / len(self.tasks),
            )

    def _questions(self, sides: Sides) -> list[Asked]:
        """What is asked in the end: the tests from all sides, then the demonstrations from a few."""
        demonstrations = [pair.input for pair in sides.task.demonstrations]
        return [*sides.asked(sides.task.tests), *sides.asked(demonstrations, self.schedule.shown)]
