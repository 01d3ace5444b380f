"""Test-time training: a copy of the network learns the demonstrations of one or more few-shot tasks, then answers them.

At first only the tasks' rows of the puzzle table are trained, starting from the mean of all rows; then all parameters.
One demonstration of each task is held out; the rule counts as found once it is predicted correctly. Then, or when most
of the time is over, it joins the training data.

With a time budget, a part of it is reserved for answering, which stops at its end with fewer votes or fewer steps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trmsolve.device import DeviceSpec, set_device
from trmsolve.errors import DeadlineExceeded, TrmsolveError
from trmsolve.inference.batch import ContinuousBatch, Rollout
from trmsolve.inference.few_shot import (
    AdaptEvent,
    AdaptOptions,
    FewShotResult,
    Pace,
    RefineEvent,
    Schedule,
    peak_memory,
)
from trmsolve.inference.voting import WeightedAnswer, rank_answers
from trmsolve.model.config import TRMConfig
from trmsolve.model.packing import Readout
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import InvalidPuzzle, Prediction, Sample
from trmsolve.tasks.few_shot import AugmentedTask, Demonstrates, FewShotTask, LazySample, Query
from trmsolve.threads import tuner
from trmsolve.training.batch import Batch
from trmsolve.training.config import TrainConfig
from trmsolve.training.metrics import RIGHT
from trmsolve.training.optim import Optimizers
from trmsolve.training.train_step import Supervision, train_step

EVENT_INTERVAL = 0.5  # seconds
MAX_ANSWER_SHARE = 0.5  # of the budget
SHORT_BUDGET = 30.0  # seconds; within a shorter one a training step may be a large part


class TestTimeTrainer:
    """A copy of a network that is adapted to tasks; the checkpoint's weights are not changed.

    watch: whether answers() yields RefineEvents, which use a part of the budget.
    """

    __test__ = False  # not a test class of pytest

    def __init__(
        self,
        task: Demonstrates,
        config: TRMConfig,
        weights: dict[str, Tensor],
        tasks: Sequence[FewShotTask],
        options: AdaptOptions,
        device: torch.device,
        autocast: bool = False,
        schedule: Schedule | None = None,
        watch: bool = False,
    ) -> None:
        self.began = time.monotonic()
        self.tasks, self.options, self.schedule = tuple(tasks), options, schedule or Schedule()
        self.device, self.autocast, self.watch = device, autocast, watch
        self.dtype = torch.bfloat16 if autocast else torch.float32
        torch.manual_seed(options.seed)
        self.model = TRM(config)
        self.model.load_state_dict(weights)
        self.model.dropout = self.schedule.dropout
        # A new puzzle table with a row for each task and augmentation.
        table = self.model.embed.new_table(options.votes * len(tasks))
        self.model.embed.puzzle_table = table["embed.puzzle_table"]
        self.model.to(device)
        self.augmented: list[AugmentedTask] = [
            task.augmented_task(each, options.votes, i * options.votes, options.seed) for i, each in enumerate(tasks)
        ]
        self._split_samples()
        self.step, self.loss = 0, 0.0
        self.recent: deque[float] = deque(maxlen=64)  # 1 for samples that were predicted exactly in their last step
        self.checks: list[float] = []  # accuracies on the held-out demonstrations
        self.group_accuracy: dict[Any, float] = {}  # the last accuracy by group of augmentations
        self.end = 1.0  # the progress at which training ends
        train_config = self._train_config()
        self.optimizers = Optimizers(self.model, train_config)
        self.supervision = Supervision(self.model, train_config, autocast)
        self.batch = Batch(self._draw, self.model, train_config, self.dtype)
        (self.carry,) = self.batch.micro_batches
        queries = [query for augmented in self.augmented for query in self._queries(augmented)]
        if watch:
            queries += [query for augmented in self.augmented for query in augmented.queries(augmented.task.tests, 1)]
        self.query_tokens = sum(query.num_tokens for query in queries)  # tokens of all queries
        self.pace = Pace()

    def _split_samples(self) -> None:
        self.holdout: list[int | None] = []  # for each task the held-out demonstration, if it has several
        self.pool: list[list[LazySample]] = []  # trained on: augmented pairs, each in one variant or several
        self.held_out: list[list[LazySample]] = []  # will join the pool
        for augmented in self.augmented:
            samples = augmented.samples()
            self.holdout.append(self.options.seed % len(samples) if len(samples) > 1 else None)
            for number, pair_samples in enumerate(samples):
                (self.held_out if number == self.holdout[-1] else self.pool).extend(pair_samples)

    def _train_config(self) -> TrainConfig:
        cells = float(np.mean([variants[0].num_tokens for variants in (*self.pool, *self.held_out)]))
        return TrainConfig(
            batch_size=int(np.clip(self.schedule.tokens // cells, 4, 4 * len(self.pool))),
            lr=self.schedule.lr,
            puzzle_lr=self.schedule.row_lr,
            puzzle_weight_decay=0.0,
            solvable_weight=0.0,
            seed=self.options.seed,
        )

    def _draw(self, index: int) -> Sample:
        """Training sample `index`: the pool in a new random order each epoch, each entry in its next variant."""
        epoch, position = divmod(index, len(self.pool))
        order = np.random.default_rng([self.options.seed, epoch]).permutation(len(self.pool))
        variants = self.pool[order[position]]
        return variants[epoch % len(variants)].sample

    @property
    def seconds(self) -> float:
        """Seconds since the trainer was created."""
        return time.monotonic() - self.began

    @property
    def deadline(self) -> float | None:
        """The value of `seconds` at which answering must be finished; None for no limit."""
        return None if self.options.budget is None else self.options.budget * len(self.tasks)

    @property
    def progress(self) -> float:
        """Share of the training steps, or of the time for them, that is used up."""
        number, options = len(self.tasks), self.options
        by_steps = self.step / (options.steps * number) if options.steps else 0.0
        if self.deadline is None:
            return min(1.0, by_steps)
        answering = self.pace.answer_seconds(self.query_tokens, options.max_steps)
        answering = min(answering, MAX_ANSWER_SHARE * self.deadline)
        return min(1.0, max(by_steps, self.seconds / (self.deadline - answering)))

    # -- training -------------------------------------------------------------------------------------------------
    def run(self) -> Iterator[AdaptEvent]:
        """Take all training steps."""
        plan = self.schedule
        last_event = 0.0
        yield self._event()
        if self.options.budget is not None and self.options.budget < SHORT_BUDGET:
            self._measure_pace()
        while (progress := self.progress) < self.end and self._has_time_for_step():
            if self.held_out and progress >= plan.holdout_release:
                self._release_holdout()
            with tuner().step(len(self.carry.tokens)) if self.device.type == "cpu" else nullcontext():
                self.train(progress)
            if self.held_out and self.step % plan.check_every == 0 and self._has_time_for_check():
                self.checks.append(self._check_holdout())
                if self.checks[-1] >= plan.found_accuracy:
                    self._release_holdout()
                    self.end = min(1.0, self.progress + plan.final_share)
            if self.seconds - last_event >= EVENT_INTERVAL:
                last_event = self.seconds
                yield self._event()
        yield self._event()

    def _event(self) -> AdaptEvent:
        phase = "embedding" if self.progress < self.schedule.embedding else "everything"
        accuracy = float(np.mean(self.recent)) if self.recent else 0.0
        holdout_accuracy = self.checks[-1] if self.checks else None
        return AdaptEvent(
            self.tasks, phase, self.step, self.seconds, self.progress, self.loss, accuracy, holdout_accuracy
        )

    def train(self, progress: float) -> None:
        """One optimizer step at this progress."""
        plan, began, num_tokens = self.schedule, time.monotonic(), len(self.carry.tokens)
        remaining = (self.end - progress) / (self.end * (1 - plan.stable_frac))
        rate = min(1.0, (self.step + 1) / 10) * max(plan.lr_floor, min(1.0, remaining))
        table_only = progress < plan.embedding
        self.model.requires_grad_(not table_only)
        reports = train_step(self.batch, self.supervision, self.optimizers, rate, table_only=table_only)
        metrics = self.batch.metrics(reports)
        self.step += 1
        self.loss += (metrics.sums["loss"] - self.loss) * max(0.05, 1 / self.step)
        done = self.batch.advance(metrics)
        self.recent.extend((metrics.codes[done] & RIGHT > 0).astype(float).tolist())
        self.pace.add_training_step(time.monotonic() - began, num_tokens, self.step)

    def _release_holdout(self) -> None:
        self.pool, self.held_out = [*self.pool, *self.held_out], []

    # -- the budget -----------------------------------------------------------------------------------------------
    def _measure_pace(self) -> None:
        """Measure two supervision steps, so that the first training step is skipped if there is no time for it."""
        queries = self._queries(self.augmented[0])
        for _ in self._roll(queries[: num_fitting(queries, self.schedule.tokens)], 2):
            pass

    def _has_time_for_step(self) -> bool:
        """Whether there is time for an answer after another training step."""
        seconds = self.pace.training_seconds(len(self.carry.tokens))
        return self.deadline is None or self.seconds + seconds < self.deadline

    def _has_time_for_check(self) -> bool:
        """Whether a check takes less than a quarter of the time that is left for training."""
        if self.deadline is None:
            return True
        pairs = zip(self.augmented, self.holdout, strict=True)
        inputs = [augmented.task.demonstrations[k].input for augmented, k in pairs if k is not None]
        num_tokens = self.schedule.check_augmentations * sum(grid.size for grid in inputs)
        seconds = self.pace.answer_seconds(num_tokens, self.schedule.check_steps)
        return 4 * seconds < (1 - self.progress) * self.deadline

    # -- queries --------------------------------------------------------------------------------------------------
    def _check_holdout(self) -> float:
        """The share of augmentations under which the held-out demonstrations are predicted, over all tasks."""
        correct: dict[Any, list[bool]] = {}
        for augmented, number in zip(self.augmented, self.holdout, strict=True):
            if number is not None:
                pair = augmented.task.demonstrations[number]
                queries = augmented.queries([pair.input], self.schedule.check_augmentations)
                for query, readout in zip(queries, self._readouts(queries, self.schedule.check_steps), strict=True):
                    answer = _prediction(query, readout).answer
                    correct.setdefault(query.group, []).append(np.array_equal(answer, pair.output))
        self.group_accuracy = {group: float(np.mean(flags)) for group, flags in correct.items()}
        return float(np.mean([flag for flags in correct.values() for flag in flags]))

    def _queries(self, augmented: AugmentedTask) -> list[Query]:
        """The final queries: the tests under all augmentations, then the demonstrations under a few."""
        demonstrations = [pair.input for pair in augmented.task.demonstrations]
        return [
            *augmented.queries(augmented.task.tests),
            *augmented.queries(demonstrations, self.schedule.demonstration_augmentations),
        ]

    def answers(self) -> Iterator[RefineEvent | FewShotResult]:
        """A FewShotResult for each task; before it, with `watch`, RefineEvents of the unaugmented tests."""
        for number, augmented in enumerate(self.augmented):
            task, until = augmented.task, None
            if self.deadline is not None:  # an equal part of the remaining time for each remaining task
                until = self.seconds + (self.deadline - self.seconds) / (len(self.tasks) - number)
            queries = self._queries(augmented)
            num_votes = len(task.tests) * augmented.num_augmentations
            unaugmented = range(0, num_votes, augmented.num_augmentations)
            if self.watch:
                yield from self._refine(task, [queries[i] for i in unaugmented], until)
            readouts = self._readouts(queries, self.options.max_steps, until, required=unaugmented)
            votes: list[list[WeightedAnswer]] = [[] for _ in task.tests]
            for query, readout in zip(queries[:num_votes], readouts, strict=False):
                if readout is not None:
                    votes[query.index].append(self._vote(query, readout))
            reproduced = [
                np.array_equal(_prediction(query, readout).answer, task.demonstrations[query.index].output)
                for query, readout in zip(queries[num_votes:], readouts[num_votes:], strict=True)
                if readout is not None
            ]
            yield FewShotResult(
                task,
                tuple(map(rank_answers, votes)),
                num_augmentations=max(map(len, votes)),
                reproduced=float(np.mean(reproduced)) if reproduced else 0.0,
                holdout_accuracy=self.checks[-1] if self.checks else None,
                steps=self.step,
                seconds=self.seconds / len(self.tasks),
            )

    def _refine(self, task: FewShotTask, queries: Sequence[Query], until: float | None) -> Iterator[RefineEvent]:
        for query in queries:
            for step, (readout,) in enumerate(self._roll([query], self.options.max_steps), 1):
                prediction = _prediction(query, readout)
                yield RefineEvent(task, query.index, step, self.options.max_steps, prediction, float(readout.halt_prob))
                if until is not None and self.seconds > until:
                    break

    def _vote(self, query: Query, readout: Readout) -> WeightedAnswer:
        """A vote, weighted by the halting probability and by the accuracy of its group on held-out demonstrations."""
        grid = _prediction(query, readout).answer
        weight = float(readout.halt_prob) * (self.schedule.vote_floor + self.group_accuracy.get(query.group, 1.0))
        return WeightedAnswer(grid, query.probabilities(grid, np.asarray(readout.probabilities)), weight)

    def _readouts(
        self, queries: Sequence[Query], steps: int, until: float | None = None, required: range = range(0)
    ) -> list[Readout | None]:
        """The network's readout of each query after `steps` supervision steps.

        until: a value of `seconds`; queries that have not started by then get None, and those in progress fewer steps.
        The queries with the indices `required` come first, and get at least one step.
        """
        readouts: dict[int, Readout] = {}
        order = list(range(len(queries)))
        if until is not None:  # then every second one, so that tests and demonstrations are cut equally
            order.sort(key=lambda i: (i not in required, i % 2, i))
        while order and (until is None or self.seconds < until or len(readouts) < len(required)):
            tokens = 4.0 * self.schedule.tokens
            if until is not None:  # only as many queries as can take all steps in time
                tokens = min(tokens, self.pace.tokens_in(until - self.seconds, steps))
                if not (self.pace.step and self.pace.setup_measured):  # without measurements, only the required queries
                    tokens = min(tokens, sum(queries[i].num_tokens for i in order if i in required))
            chunk = order[: num_fitting([queries[i] for i in order], tokens)]
            last: list[Readout] = []
            for readouts_of_step in self._roll([queries[i] for i in chunk], steps):
                last = readouts_of_step
                if until is not None and self.seconds >= until:
                    break
            readouts.update(zip(chunk, last, strict=True))
            order = order[len(chunk) :]
        return [readouts.get(i) for i in range(len(queries))]

    def _roll(self, queries: Sequence[Query], steps: int) -> Iterator[list[Readout]]:
        """The readouts after each supervision step."""
        began = time.monotonic()
        batch = ContinuousBatch(self.model, self.dtype)
        rollouts = [Rollout(query.encoded) for query in queries]
        batch.add(rollouts)
        for step in range(steps):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                batch.step()
            seconds = time.monotonic() - began
            if step:
                self.pace.add_step(seconds, batch.num_tokens, 2 * batch.num_tokens >= self.schedule.tokens)
            else:
                self.pace.add_setup(seconds, batch.num_tokens)
            yield [rollout.readout for rollout in rollouts if rollout.readout is not None]
            began = time.monotonic()


def _prediction(query: Query, readout: Readout | None) -> Prediction:
    assert readout is not None
    return query.prediction(np.asarray(readout.choice), np.asarray(readout.confidence))


def num_fitting(queries: Sequence[Query], tokens: float) -> int:
    """The largest number of queries, from the first, with at most `tokens` tokens in total; at least 1."""
    total = 0
    for number, query in enumerate(queries):
        total += query.num_tokens
        if number and total > tokens:
            return number
    return len(queries)


def adapt(
    task: Demonstrates,
    config: TRMConfig,
    weights: dict[str, Tensor],
    device_spec: DeviceSpec,
    tasks: Iterable[FewShotTask | InvalidPuzzle],
    options: AdaptOptions,
    *,
    events: bool = False,
    deadline: float | None = None,
    name: str = "checkpoint",
) -> Iterator[AdaptEvent | RefineEvent | FewShotResult]:
    """A FewShotResult for each record, in order; with `events` their progress too.

    Each batch of tasks starts from the same weights. deadline: on time.monotonic(). name: of the checkpoint, for
    messages. Raises TrmsolveError if the network cannot adapt to such tasks, DeadlineExceeded at the deadline.
    """
    if not task.supports_model(config):
        raise TrmsolveError(
            f"{name}: this network cannot adapt to {task.name.upper()} tasks",
            f"leave out --checkpoint to use the bundled one, or train one: trmsolve train --task {task.name}",
        )
    set_device(device_spec.device)
    import torch._dynamo  # used by optimizers; importing it takes seconds, which must not count towards a budget

    iterator = iter(tasks)
    while batch := list(islice(iterator, options.tasks_per_batch)):
        valid = [record for record in batch if isinstance(record, FewShotTask)]
        results: dict[int, FewShotResult] = {}
        if valid:
            autocast = device_spec.dtype == torch.bfloat16
            trainer = TestTimeTrainer(task, config, weights, valid, options, device_spec.device, autocast, watch=events)
            for event in trainer.run():
                if events:
                    yield event
                if deadline is not None and time.monotonic() > deadline:
                    raise DeadlineExceeded
            for answer in trainer.answers():
                if isinstance(answer, FewShotResult):
                    results[id(answer.task)] = replace(answer, memory=peak_memory(device_spec.device))
                else:
                    yield answer
        for record in batch:
            if isinstance(record, InvalidPuzzle):
                yield FewShotResult(record, error=record.message)
            else:
                yield results[id(record)]
