"""The training loop: deep supervision over slots, an optimizer step for each window of supervision steps.

Each supervision step starts from the states of the one before; losses.py says what it is punished for. As published
(arXiv 2510.04871, section 4) these states are detached: a window of one step. In a longer one the gradient goes on from
step to step, so that a step also learns what the next one needs, for the same work (truncated backpropagation through
time, Williams and Peng 1990; figures in docs/records.md). A slot whose puzzle halts takes the next one. `Trainer.run`
returns when the run is finished, interrupted or diverged; its state is saved then.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from trmsolve.device import work_on
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample
from trmsolve.training.ahead import Ahead
from trmsolve.training.batch import Batch
from trmsolve.training.config import TrainConfig
from trmsolve.training.distributed import Everyones, Team
from trmsolve.training.optim import EMA, Optimizers, sign_step
from trmsolve.training.runfolder import RunFolder
from trmsolve.training.supervision import ENDS, Supervision, settle
from trmsolve.training.totals import Totals

if TYPE_CHECKING:
    from trmsolve.training.profile import Profile

Evaluate = Callable[[TRM], dict[str, Any]]


class Reporter(Protocol):
    """Who is told how the run goes; view/progress.py for people."""

    def update(self, metrics: dict[str, Any]) -> None: ...
    def evaluated(self, metrics: dict[str, Any]) -> None: ...
    def saved(self, path: Any, step: int) -> None: ...
    def message(self, text: str) -> None: ...


class Trainer:
    """One run: model, EMA, optimizers and slots, resumed from its folder when that holds a state.

    In a team every process has a Trainer with the same arguments, but for the folder: only the first one's is used.
    """

    LOG_EVERY = 50  # optimizer steps between two metrics

    def __init__(
        self,
        config: TrainConfig,
        model_config: TRMConfig,
        draw: Callable[[int], Sample],
        folder: RunFolder,
        *,
        weights: dict[str, Tensor] | None = None,
        compile: bool = False,
        autocast: bool = True,
        device: str | torch.device = "cpu",
        team: Team | None = None,
    ) -> None:
        work_on(torch.device(device))
        torch.manual_seed(config.seed)
        self.config, self.folder, self.team, self.device = config, folder, team or Team(), torch.device(device)
        self.note: dict[str, Any] = {}
        self.team.agree(config=config, model=model_config, dtype=autocast)
        self.model = TRM(model_config)
        if weights is not None:
            try:
                self.model.load_state_dict(weights)
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:200]
                raise Everyones(
                    f"the weights do not fit the model: {reason}", "leave out what changes its shape"
                ) from None
        self.model.load_state_dict(self.team.told(self.model.state_dict()))
        self.model.to(device)
        self.ema = EMA(self.model, config.ema)
        self.optimizers = Optimizers(self.model, config)
        self.ahead = Ahead(draw)
        self.batch = Batch(self.ahead, self.model, config, torch.bfloat16 if autocast else torch.float32, self.team)
        self.step, self.seconds, self.history = 0, 0.0, []
        self.supervised = 0  # supervision steps, summed over puzzles
        if (saved := self.team.told(folder.load() if self.team.first else None)) is not None:
            self._restore(*saved)
        if self.team.first:
            folder.rewind_log(self.step)
        self.supervise = Supervision(self.model, config, autocast, compile)

    # -- the state ----------------------------------------------------------------------------------------------
    def save(self) -> None:
        """Write everything that decides how the run goes on."""
        slots, numbers = self.batch.state()
        if not self.team.first:
            return
        # Of the average its parameters: buffers are the model's own (EMA), and a table of tasks is most of a run.
        parts = {"model": self.model.state_dict(), "ema": dict(self.ema.model.named_parameters()), "slots": slots}
        parts["optimizer"] = self.optimizers.state()
        tensors = {f"{part}/{key}": value for part, values in parts.items() for key, value in values.items()}
        values = {
            "step": self.step,
            "seconds": self.seconds,
            "supervised": self.supervised,
            "slots": numbers,
            "history": self.history,
            "note": self.note,
        }
        values |= {"config": dataclasses.asdict(self.config), "model": self.ema.model.config.to_dict()}
        self.folder.save(tensors, values)

    def note_session(self, command: list[str], data: list[dict[str, object]], source: str | None) -> None:
        """Provenance: this process's share of the run, kept in the state and in the checkpoint."""
        session = {"command": shlex.join(["trmsolve", *command]), "from_step": self.step, "data": data}
        if source is not None:
            session["from"] = source
        if self.team.size > 1:
            session["processes"] = self.team.size
        sessions = self.note.setdefault("sessions", [])
        if not sessions or {**sessions[-1], "from_step": 0} != {**session, "from_step": 0}:
            sessions.append(session)

    def _restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        # n, T and N_sup shape no tensor: a depth curriculum may change them between two sessions of a run.
        free = {"n": self.model.config.n, "T": self.model.config.T, "N_sup": self.model.config.N_sup}
        held, asked = dataclasses.replace(TRMConfig.from_dict(values["model"]), **free), self.model.config
        if asked.facets and held.puzzles != asked.puzzles:
            raise Everyones(
                f"{self.folder.path}: holds a run with a table of {held.puzzles} rows, these data need {asked.puzzles}",
                "go on with the --data that it began with, or start another --run --from its checkpoint",
            )
        if held != asked:
            raise Everyones(
                f"{self.folder.path}: holds a run of another model: {values['model']}", "name another --run"
            )
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            part, name = key.split("/", 1)
            parts.setdefault(part, {})[name] = value
        self.model.load_state_dict(parts["model"])
        self.ema.model.load_state_dict({**parts["model"], **parts["ema"]})
        self.optimizers.restore(parts["optimizer"])
        self.step, self.seconds, self.history = values["step"], values["seconds"], values["history"]
        self.note = values["note"]
        # Until a gradient could go through several steps, nobody counted.
        self.supervised = values.get("supervised", self.step * values["config"]["batch"])
        if values["config"]["batch"] == self.config.batch and values["config"]["seed"] == self.config.seed:
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
        profile: Profile | None = None,
    ) -> str:
        """Train until finished; seconds between saves and evaluations. Returns finished, interrupted or diverged.

        Any process of a team may be asked to stop: all then stop after the same step. Only the first one reports.
        """
        # Which draws a process of a team will get, it learns no earlier than it needs them.
        ahead = self.ahead.running(self.batch.book.next_index) if self.team.size == 1 else nullcontext()
        with ahead, profile or nullcontext():
            return self._run(report, save_every, evaluate, evaluate_every, stop, profile)

    def _run(
        self,
        report: Reporter,
        save_every: float,
        evaluate: Evaluate | None,
        evaluate_every: float,
        stop: Callable[[], bool],
        profile: Profile | None,
    ) -> str:
        began = time.monotonic() - self.seconds
        last_save, last_evaluation, stopped = self.seconds, self.seconds, False
        totals, since = Totals(), time.monotonic()
        smooth, first = None, self.step
        while not (stopped or self.config.finished(self.step, self.seconds)):
            said = self._step(totals, lambda: time.monotonic() - began, stop)
            loss = said["total"]
            if profile is not None:
                profile.step()
            smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
            if not math.isfinite(loss) or (self.step > 10 * self.config.warmup and smooth > 10):
                if self.team.first:
                    report.message(f"the loss diverged at step {self.step} ({loss:.3g}); the last good state is kept")
                return "diverged"
            self.seconds = said["clock"]  # everyone goes by the first one's
            if self.step % self.LOG_EVERY == 0:
                self._log(totals.metrics(time.monotonic() - since), report)
                totals, since = Totals(), time.monotonic()
            stopped = said["stop"] > 0
            if not stopped and self.seconds - last_save >= save_every:
                self._save(report)
                last_save = self.seconds
            if evaluate is not None and not stopped and self.seconds - last_evaluation >= evaluate_every:
                self._evaluate(evaluate, report)
                last_evaluation = self.seconds
                since = time.monotonic()
        outcome = "finished" if self.config.finished(self.step, self.seconds) else "interrupted"
        if evaluate is not None and outcome == "finished" and self.step > first:
            self._evaluate(evaluate, report)
        if self.team.told(self.step > first or not self.folder.state_file.exists()):
            self._save(report)
        return outcome

    def _save(self, report: Reporter) -> None:
        self.save()
        if self.team.first:
            report.saved(self.folder.state_file, self.step)

    def _log(self, metrics: dict[str, Any], report: Reporter) -> None:
        metrics = {"step": self.step, "seconds": round(self.seconds, 1)} | metrics
        metrics["lr"] = self.config.lr * self.config.rate(self.step, self.seconds)
        if self.team.first:
            self.folder.log(metrics)
            report.update(metrics)

    def _evaluate(self, evaluate: Evaluate, report: Reporter) -> None:
        """The first process measures; the others meet it again at the next exchange."""
        if not self.team.first:
            return
        result = {"step": self.step, "seconds": round(self.seconds, 1)} | evaluate(self.ema.model)
        self.history.append(result)
        self.folder.log({**result, "kind": "evaluation"})
        report.evaluated(result)

    def _step(
        self, totals: Totals, clock: Callable[[], float] = time.monotonic, stop: Callable[[], bool] = lambda: False
    ) -> dict[str, float]:
        """A window of supervision steps of every slot, one optimizer step. Returns the sums of Report."""
        batch, model, config = self.batch, self.model, self.config
        T, n = config.depth(self.ema.model.config, self.step, self.seconds)
        if (T, n) != (model.config.T, model.config.n):  # the average keeps the whole depth: it is what is evaluated
            model.config = dataclasses.replace(model.config, T=T, n=n)
        rate, table = config.rate(self.step, self.seconds), model.embed.puzzles
        reports, uses = [], []
        for part in batch.parts:
            names = None if table is None else model.embed.named(part.tokens, part.layout)[1].requires_grad_()
            made = self.supervise(part, batch.whole(), names)
            part.keep(made.y, made.z)
            reports.append(made.report)
            if part is batch.parts[-1]:
                arriving = batch.report(reports, clock(), stop())
            made.total.backward()
            if names is not None:
                uses.append(names.grad)
            if self.supervise.graphs and len(batch.parts) > 1:
                settle(model, uses)
        shared = [batch.spread(torch.cat(uses))] if uses else []
        self.team.add([*(p.grad for p in model.parameters() if p.grad is not None), *shared])
        if config.clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        self.optimizers.step(rate)
        for of_rows in shared:
            sign_step(table, batch.names(), of_rows, rate * config.puzzle_lr, config.puzzle_decay)
        self.step += 1
        self.supervised += config.batch * config.window
        self.ema.update(model, self.step)
        report, age = arriving(), batch.book.age + config.window
        done = batch.book.advance(report.codes & ENDS > 0)
        batch.refill(done)
        totals.add(report, done, age)
        return report.sums
