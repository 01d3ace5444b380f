"""The training loop: deep supervision over slots (carry.py), one optimizer step per window (train_step.py).

`Trainer.run` returns when the run is finished, interrupted or diverged; its state is saved then.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor

from trmsolve.device import set_device
from trmsolve.distributed import CollectiveError, ProcessGroup
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample
from trmsolve.training.batch import Batch, SamplePrefetcher
from trmsolve.training.config import TrainConfig
from trmsolve.training.metrics import MetricAccumulator
from trmsolve.training.optim import EMA, Optimizers
from trmsolve.training.run_dir import RunDir
from trmsolve.training.train_step import Supervision, train_step

Evaluate = Callable[[TRM], dict[str, Any]]  # measures of the averaged model; empty when it was stopped
OnStep = Callable[[int, float, float], None]  # step, seconds and loss


class Reporter(Protocol):
    """Receives the progress of a run."""

    def update(self, metrics: dict[str, Any]) -> None: ...
    def evaluated(self, metrics: dict[str, Any]) -> None: ...
    def saved(self, path: Any, step: int) -> None: ...
    def message(self, text: str) -> None: ...


class Trainer:
    """One run: model, EMA, optimizers and slots, resumed from its folder if that contains a state.

    In a process group every process has a Trainer with the same arguments; only the main process uses its run_dir.
    """

    LOG_EVERY, LOG_SECONDS = 50, 10.0  # optimizer steps or seconds between two lines of metrics, whichever is first

    def __init__(
        self,
        config: TrainConfig,
        model_config: TRMConfig,
        draw: Callable[[int], Sample],
        run_dir: RunDir,
        *,
        weights: dict[str, Tensor] | None = None,
        compile: bool = False,
        autocast: bool = True,
        device: str | torch.device = "cpu",
        group: ProcessGroup | None = None,
    ) -> None:
        set_device(torch.device(device))
        torch.manual_seed(config.seed)
        self.config, self.run_dir, self.device = config, run_dir, torch.device(device)
        self.group = group or ProcessGroup()
        self.provenance: dict[str, Any] = {}
        self.group.assert_equal(config=config, model=model_config, dtype=autocast)
        self.model = TRM(model_config)
        if weights is not None:
            try:
                self.model.load_state_dict(weights)
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:200]
                raise CollectiveError(
                    f"the weights do not fit the model: {reason}", "leave out options that change its shape"
                ) from None
        self.model.load_state_dict(self.group.broadcast(self.model.state_dict()))
        self.model.to(device)
        self.ema = EMA(self.model, config.ema)
        self.optimizers = Optimizers(self.model, config)
        self.draw = SamplePrefetcher(draw)
        self.batch = Batch(self.draw, self.model, config, torch.bfloat16 if autocast else torch.float32, self.group)
        self.step, self.seconds = 0, 0.0
        self.totals, self.last_log = MetricAccumulator(), 0.0  # since the last line of metrics, and its time
        self.smooth_loss = math.nan  # moving average
        self.history: list[dict[str, Any]] = []  # evaluations
        self.supervised = 0  # supervision steps, summed over puzzles
        if (saved := self.group.broadcast(run_dir.load() if self.group.is_main else None)) is not None:
            self._restore(*saved)
        if self.group.is_main:
            run_dir.rewind_log(self.step)
        self.supervision = Supervision(self.model, config, autocast, compile)

    # -- the state ----------------------------------------------------------------------------------------------
    def save(self) -> None:
        """Write the full state, from which the run resumes exactly."""
        slots, numbers = self.batch.state()
        if not self.group.is_main:
            return
        # Only the parameters of the average: buffers are shared with the model (EMA), and the puzzle table is large.
        parts = {"model": self.model.state_dict(), "ema": dict(self.ema.model.named_parameters()), "slots": slots}
        parts["optimizer"] = self.optimizers.state()
        tensors = {f"{part}/{key}": value for part, values in parts.items() for key, value in values.items()}
        values = {
            "step": self.step,
            "seconds": self.seconds,
            "supervised": self.supervised,
            "slots": numbers,
            "history": self.history,
            "note": self.provenance,
        }
        values |= {"config": dataclasses.asdict(self.config), "model": self.ema.model.config.to_dict()}
        self.run_dir.save(tensors, values)

    def add_session(self, command: list[str], data: list[dict[str, object]], source: str | None) -> None:
        """Add this session to the provenance, which is stored in the state and in the checkpoint."""
        session = {"command": shlex.join(["trmsolve", *command]), "from_step": self.step, "data": data}
        if source is not None:
            session["from"] = source
        if self.group.world_size > 1:
            session["processes"] = self.group.world_size
        sessions = self.provenance.setdefault("sessions", [])
        if not sessions or {**sessions[-1], "from_step": 0} != {**session, "from_step": 0}:
            sessions.append(session)

    def _restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        # n, T and N_sup do not affect the shape of tensors, so they may change between sessions.
        changeable: dict[str, Any] = {
            "n": self.model.config.n,
            "T": self.model.config.T,
            "N_sup": self.model.config.N_sup,
        }
        try:
            saved = dataclasses.replace(TRMConfig.from_dict(values["model"]), **changeable)
        except TrmsolveError as error:
            raise self.run_dir.damaged(error) from error
        expected = self.model.config
        if expected.num_puzzles != saved.num_puzzles:
            raise CollectiveError(
                f"{self.run_dir.path}: the run has a table of {saved.num_puzzles} rows, "
                f"but these data need {expected.num_puzzles}",
                "use the run's original --data, or start another --run --from its checkpoint",
            )
        if saved != expected:
            requested = expected.to_dict()
            differences = [
                f"{name} {value}, not {requested[name]}"
                for name, value in saved.to_dict().items()
                if value != requested[name]
            ]
            raise CollectiveError(
                f"{self.run_dir.path}: contains a run of another model: {'; '.join(differences)}",
                "choose another --run",
            )
        try:
            self._restore_parts(tensors, values)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise self.run_dir.damaged(error) from error

    def _restore_parts(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Restore all parts. A damaged state may raise LookupError, TypeError, ValueError or RuntimeError."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            part, name = key.split("/", 1)
            parts.setdefault(part, {})[name] = value
        if missing := dict(self.model.named_parameters()).keys() - parts["ema"].keys():
            raise ValueError(f"no average of {min(missing)}")
        for name, value in [*parts["model"].items(), *parts["ema"].items()]:
            if not value.isfinite().all():
                raise ValueError(f"{name} is not finite")
        self.model.load_state_dict(parts["model"])
        self.ema.model.load_state_dict({**parts["model"], **parts["ema"]})
        self.optimizers.restore(parts["optimizer"])
        self.step, self.seconds, self.history = values["step"], float(values["seconds"]), values["history"]
        self.provenance, self.supervised = values["note"], values["supervised"]
        if values["config"]["batch_size"] == self.config.batch_size and values["config"]["seed"] == self.config.seed:
            self.batch.restore(parts["slots"], values["slots"])

    # -- the loop -----------------------------------------------------------------------------------------------
    def run(
        self,
        report: Reporter,
        *,
        save_every: float = 180.0,
        evaluate: Evaluate | None = None,
        evaluate_every: float = 600.0,
        stop: Callable[[], bool] = lambda: False,
        on_step: OnStep = lambda step, seconds, loss: None,
        on_save: Callable[[], None] = lambda: None,
        profile: torch.profiler.profile | None = None,
        startup_seconds: float = 0.0,
    ) -> str:
        """Train until finished. Returns finished, interrupted or diverged.

        save_every, evaluate_every: seconds. stop: polled after every step; if it is true in any process, all processes
        stop after the same step. on_step: called after every optimizer step. on_save: called after the state is
        written. startup_seconds: time of this session before the call, which counts towards the run's minutes. Only the
        main process reports, saves and evaluates.
        """
        # With several processes, the samples of a process are known too late to prefetch them.
        prefetching = self.draw.running(self.batch.schedule.next_index) if self.group.world_size == 1 else nullcontext()
        started = self.last_log = time.monotonic()
        began = started - self.seconds - startup_seconds
        last_save = last_evaluation = self.seconds
        self.totals, self.smooth_loss = MetricAccumulator(), math.nan
        first, ends = self.step, self.finished
        with prefetching, profile or nullcontext():
            while not ends:
                sums = self.train_step(lambda: time.monotonic() - began, stop)
                if profile is not None:
                    profile.step()
                if self._has_diverged(sums["total"], report):
                    return "diverged"
                self.seconds = sums["clock"]  # of the main process
                on_step(self.step, self.seconds, sums["total"])
                ends = sums["stop"] > 0 or self.finished
                self._log_when_due(report, started, ends)
                if not ends and self.seconds - last_save >= save_every:
                    self._save(report, on_save)
                    last_save = self.seconds
                if evaluate is not None and not ends and self.seconds - last_evaluation >= evaluate_every:
                    self._evaluate(evaluate, report)
                    last_evaluation, self.last_log = self.seconds, time.monotonic()
        outcome = "finished" if self.finished else "interrupted"
        if self.group.broadcast(self.step > first or not self.run_dir.state_file.exists()):
            self._save(report, on_save)
        if evaluate is not None and outcome == "finished" and self.step > first:
            self._evaluate(evaluate, report)
            self._save(report, on_save)  # with the evaluation in its history
        return outcome

    @property
    def finished(self) -> bool:
        """Whether the run's steps or minutes are used up."""
        return self.config.finished(self.step, self.seconds)

    def _has_diverged(self, loss: float, report: Reporter) -> bool:
        """Whether the loss is not finite, or its moving average large after the warm-up; says so."""
        self.smooth_loss = loss if math.isnan(self.smooth_loss) else 0.98 * self.smooth_loss + 0.02 * loss
        if math.isfinite(loss) and (self.step <= 10 * self.config.warmup or self.smooth_loss <= 10):
            return False
        if self.group.is_main:
            report.message(f"the loss diverged at step {self.step} ({loss:.3g}); the last saved state is kept")
        return True

    def _save(self, report: Reporter, on_save: Callable[[], None]) -> None:
        self.save()
        if self.group.is_main:
            on_save()
            report.saved(self.run_dir.state_file, self.step)

    def _log_when_due(self, report: Reporter, started: float, ends: bool) -> None:
        """Report the means since the last line of metrics, if the next one is due: more often at first."""
        now = time.monotonic()
        log_seconds = self.LOG_SECONDS * min(1.0, 0.1 + (now - started) / 100)
        if not ends and self.step % self.LOG_EVERY and now - self.last_log < log_seconds:
            return
        metrics: dict[str, Any] = {"step": self.step, "seconds": round(self.seconds, 1)}
        metrics |= self.totals.metrics(now - self.last_log)
        metrics["lr"] = self.config.lr * self.config.rate(self.step, self.seconds)
        self.totals, self.last_log = MetricAccumulator(), now
        if self.group.is_main:
            self.run_dir.log(metrics)
            report.update(metrics)

    def _evaluate(self, evaluate: Evaluate, report: Reporter) -> None:
        """The main process evaluates; the others wait for it at the next collective."""
        if not self.group.is_main:
            return
        if not (measures := evaluate(self.ema.model)):
            return
        result = {"step": self.step, "seconds": round(self.seconds, 1)} | measures
        self.history.append(result)
        self.run_dir.log({**result, "kind": "evaluation"})
        report.evaluated(result)

    def train_step(
        self,
        clock: Callable[[], float] = time.monotonic,
        stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, float]:
        """One training step of the whole batch, added to `totals`. Returns the sums of StepMetrics."""
        batch, model, config = self.batch, self.model, self.config
        T, n = config.depth(self.ema.model.config, self.step, self.seconds)
        if (T, n) != (model.config.T, model.config.n):  # the averaged model, which is evaluated, keeps the full depth
            model.config = dataclasses.replace(model.config, T=T, n=n)
        reports = train_step(batch, self.supervision, self.optimizers, config.rate(self.step, self.seconds))
        self.step += 1
        self.supervised += config.batch_size * config.bptt_steps
        self.ema.update(model, self.step)
        metrics, age = batch.metrics(reports, clock(), stop()), batch.schedule.age + config.bptt_steps
        self.totals.add(metrics, batch.advance(metrics), age)
        return metrics.sums
