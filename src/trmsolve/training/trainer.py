"""The training loop: deep supervision over slots, one optimizer step per supervision step (losses.py says on what).

Each supervision step starts from the detached states of the one before (arXiv 2510.04871, section 4); a slot whose
puzzle halts takes the next one. `Trainer.run` returns when the run is finished, interrupted or diverged; its state is
saved then.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import ROUND
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import losses
from trmsolve.training.optim import EMA, Optimizers, sign_step
from trmsolve.training.runfolder import RunFolder
from trmsolve.training.slots import Slots

Evaluate = Callable[[TRM], dict[str, Any]]


class Reporter(Protocol):
    """Who is told how the run goes; view/progress.py for people."""

    def update(self, metrics: dict[str, Any]) -> None: ...
    def evaluated(self, metrics: dict[str, Any]) -> None: ...
    def saved(self, path: Any, step: int) -> None: ...
    def message(self, text: str) -> None: ...


class Trainer:
    """One run: model, EMA, optimizers and slots, resumed from its folder when that holds a state."""

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
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder = config, folder
        self.note: dict[str, Any] = {}
        self.model = TRM(model_config)
        if weights is not None:
            try:
                self.model.load_state_dict(weights)
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:200]
                raise TrmsolveError(
                    f"the weights do not fit the model: {reason}", "leave out what changes its shape"
                ) from None
        self.model.to(device)
        self.ema = EMA(self.model, config.ema)
        self.optimizers = Optimizers(self.model, config)
        self.autocast = autocast
        self.slots = Slots(
            draw,
            self.model,
            config.batch,
            config.seed,
            config.explore,
            torch.bfloat16 if autocast else torch.float32,
            ROUND,
        )
        self.step, self.seconds, self.history = 0, 0.0, []
        if (saved := folder.load()) is not None:
            self._restore(*saved)
        folder.rewind_log(self.step)
        self.forward = torch.compile(self.model, dynamic=not model_config.length) if compile else self.model

    # -- the state ----------------------------------------------------------------------------------------------
    def save(self) -> None:
        """Write everything that decides how the run goes on."""
        slots, numbers = self.slots.state()
        # Of the average its parameters: buffers are the model's own (EMA), and a table of tasks is most of a run.
        parts = {"model": self.model.state_dict(), "ema": dict(self.ema.model.named_parameters()), "slots": slots}
        parts["optimizer"] = self.optimizers.state()
        tensors = {f"{part}/{key}": value for part, values in parts.items() for key, value in values.items()}
        values = {
            "step": self.step,
            "seconds": self.seconds,
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
        sessions = self.note.setdefault("sessions", [])
        if not sessions or {**sessions[-1], "from_step": 0} != {**session, "from_step": 0}:
            sessions.append(session)

    def _restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        # n, T and N_sup shape no tensor: a depth curriculum may change them between two sessions of a run.
        free = {"n": self.model.config.n, "T": self.model.config.T, "N_sup": self.model.config.N_sup}
        held, asked = dataclasses.replace(TRMConfig.from_dict(values["model"]), **free), self.model.config
        if asked.facets and held.puzzles != asked.puzzles:
            raise TrmsolveError(
                f"{self.folder.path}: holds a run with a table of {held.puzzles} rows, these data need {asked.puzzles}",
                "go on with the --data that it began with, or start another --run --from its checkpoint",
            )
        if held != asked:
            raise TrmsolveError(
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
        if values["config"]["batch"] == self.config.batch and values["config"]["seed"] == self.config.seed:
            self.slots.restore(parts["slots"], values["slots"])

    # -- the loop -----------------------------------------------------------------------------------------------
    def run(
        self,
        report: Reporter,
        *,
        save_every: float = 180.0,
        evaluate: Evaluate | None = None,
        evaluate_every: float = 600.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> str:
        """Train until finished; seconds between saves and evaluations. Returns finished, interrupted or diverged."""
        started, before = time.monotonic(), self.seconds
        last_save, last_evaluation, outcome = self.seconds, self.seconds, "finished"
        totals, since = Totals(), time.monotonic()
        smooth, first = None, self.step
        while not self.config.finished(self.step, self.seconds):
            if stop():
                outcome = "interrupted"
                break
            loss = self._step(totals)
            smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
            if not math.isfinite(loss) or (self.step > 10 * self.config.warmup and smooth > 10):
                report.message(f"the loss diverged at step {self.step} ({loss:.3g}); the last good state is kept")
                return "diverged"
            self.seconds = before + time.monotonic() - started
            if self.step % self.LOG_EVERY == 0:
                metrics = {"step": self.step, "seconds": round(self.seconds, 1)} | totals.metrics(
                    time.monotonic() - since
                )
                metrics["lr"] = self.config.lr * self.config.rate(self.step, self.seconds)
                self.folder.log(metrics)
                report.update(metrics)
                totals, since = Totals(), time.monotonic()
            if self.seconds - last_save >= save_every:
                self.save()
                report.saved(self.folder.state_file, self.step)
                last_save = self.seconds
            if evaluate is not None and self.seconds - last_evaluation >= evaluate_every:
                self._evaluate(evaluate, report)
                last_evaluation = self.seconds
                since = time.monotonic()
        if evaluate is not None and outcome == "finished" and self.step > first:
            self._evaluate(evaluate, report)
        if self.step > first or not self.folder.state_file.exists():
            self.save()
            report.saved(self.folder.state_file, self.step)
        return outcome

    def _evaluate(self, evaluate: Evaluate, report: Reporter) -> None:
        result = {"step": self.step, "seconds": round(self.seconds, 1)} | evaluate(self.ema.model)
        self.history.append(result)
        self.folder.log({**result, "kind": "evaluation"})
        report.evaluated(result)

    def _step(self, totals: Totals) -> float:
        """One supervision step of every slot, one optimizer step."""
        slots, model, config = self.slots, self.model, self.config
        T, n = config.depth(self.ema.model.config, self.step, self.seconds)
        if (T, n) != (model.config.T, model.config.n):  # the average keeps the whole depth: it is what is evaluated
            model.config = dataclasses.replace(model.config, T=T, n=n)
        table = model.embed.puzzles
        ids, names = (None, None) if table is None else model.embed.named(slots.tokens, slots.layout)
        if names is not None:
            names.requires_grad_()
        with torch.autocast(slots.device.type, torch.bfloat16, enabled=self.autocast):
            step = self.forward(slots.tokens, slots.y, slots.z, slots.layout, names)
            following = None
            if config.continue_weight:
                with torch.no_grad():
                    following = self.forward(slots.tokens, step.y.detach(), step.z.detach(), slots.layout)
        found = losses(step, slots, config, following)
        value = found.total.item()
        rate = config.rate(self.step, self.seconds)
        if math.isfinite(value):
            found.total.backward()
            if config.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            self.optimizers.step(rate)
            if names is not None:
                sign_step(table, ids, names.grad, rate * config.puzzle_lr, config.puzzle_decay)
            self.step += 1
            self.ema.update(model, self.step)
        was_solvable, age, right = slots.solvable, torch.from_numpy(slots.age + 1), found.right.cpu()
        was_solvable = was_solvable.cpu()
        done = slots.advance(step, step.solvable if config.continue_weight else 0.0)
        totals.add(
            loss=found.choices.item(),
            cells=found.hit.float().mean().item(),
            puzzles=int(done.sum()),
            real=int((done & was_solvable).sum()),
            exact=int((done & right).sum()),
            depth=int(age[done & was_solvable].sum()),
            halting=((step.halt > 0).cpu() == right).float().mean().item(),
            solvable=((step.solvable > 0).cpu() == was_solvable)[~was_solvable].float().sum().item(),
            unsolvable=int((~was_solvable).sum()),
        )
        return value


class Totals:
    """Sums between two lines of the log."""

    def __init__(self) -> None:
        self.steps, self.sums = 0, {}

    def add(self, **values: float) -> None:
        """One optimizer step's share."""
        self.steps += 1
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + value

    def metrics(self, seconds: float) -> dict[str, float]:
        """What the log says of the last stretch. `*_accuracy` of halted puzzles are those of the training mix."""
        s, real = self.sums, max(1.0, self.sums["real"])
        values = {
            "loss": s["loss"] / self.steps,
            "cell_accuracy": s["cells"] / self.steps,
            "exact_accuracy": s["exact"] / real,
            "halt_accuracy": s["halting"] / self.steps,
            "unsolvable_recall": s["solvable"] / max(1.0, s["unsolvable"]),
            "mean_steps": s["depth"] / real,
            "steps_per_second": self.steps / seconds,
            "puzzles_per_second": s["puzzles"] / seconds,
        }
        return {key: round(value, 4) for key, value in values.items()}
