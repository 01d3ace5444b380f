"""A run of `trmsolve train`: signals, panel, checkpoints, evaluation within the time that is left."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli.run import ERROR, INTERRUPTED, SOLVED, TERMINATED, Terminated, echo_err, handling
from trmsolve.errors import TrmsolveError
from trmsolve.render.train_panel import TrainPanel
from trmsolve.tasks import BUNDLED, origin
from trmsolve.text_io import shell_quote
from trmsolve.training.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from trmsolve.api import Model
    from trmsolve.checkpoint import Header
    from trmsolve.cli.train import TrainArgs
    from trmsolve.device import DeviceSpec
    from trmsolve.distributed import ProcessGroup
    from trmsolve.tasks.base import Puzzle, Task, TrainingData
    from trmsolve.training.run_dir import RunDir
    from trmsolve.training.trainer import Trainer

TOLERANCE, MIN_TOLERANCE = 0.05, 10.0  # a run may take longer than its minutes by this share, or these seconds
WRITING = 2.0  # seconds of it that are kept for the last checkpoint
EVALUATION_SHARE = 0.5  # of the time between two evaluations that one may take
FINAL_EVALUATION = 600.0  # seconds that the last evaluation of a run without minutes may take
SINGLE_PASS_STEPS = (16, 32)  # supervision steps of an evaluation


@dataclass(frozen=True)
class TrainJob:
    """All that a run needs, as the command line gave it and checked it."""

    args: TrainArgs
    recipe: Recipe
    task: Task
    data: TrainingData
    held_out: dict[str, list[Puzzle]]
    run: Path
    output: Path
    start: Model | None = None  # the model of --from

    @property
    def own_checkpoint(self) -> Path:
        """The checkpoint in the run folder, written at every save."""
        return self.run / f"{self.recipe.task}.safetensors"

    def initial_weights(self, num_puzzles: int) -> dict[str, torch.Tensor] | None:
        """The weights of --from, with a table of this many puzzle embeddings if the model has one."""
        if self.start is None:
            return None
        weights, embed = self.start.network.state_dict(), self.start.network.embed
        return weights | embed.new_table(num_puzzles) if hasattr(embed, "new_table") else weights

    def export(self, trainer: Trainer, path: Path, metrics: dict[str, Any] | None = None) -> None:
        """Write the averaged weights as a checkpoint."""
        from trmsolve.training.run_dir import export_checkpoint

        export_checkpoint(trainer, self.recipe.task, path, metrics, self.task.settings)


STOP_SIGNALS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}


class StopRequests:
    """SIGINT, SIGTERM and SIGHUP: acknowledged at once, even while torch computes. The run stops after its step.

    While `may_abort` is true nothing would be lost, and the signal ends the command by an exception. So does a second
    signal at any time.
    """

    def __init__(self, acknowledge: Callable[[str], None]) -> None:
        self.signals: list[int] = []
        self.may_abort = True
        self._acknowledge = acknowledge
        self._announced = threading.Event()

    def __call__(self) -> bool:
        """Whether the run is to stop."""
        return bool(self.signals)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals inside the block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Python runs a handler only between two bytecodes of the main thread, which may be inside torch for seconds.
        # But it writes the signal's number to this socket at once, and another thread reads it.
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._announce, args=(reader,), name="signals", daemon=True).start()
        try:
            with handling(dict.fromkeys(STOP_SIGNALS, self._on_signal)):
                yield
        finally:
            signal.set_wakeup_fd(previous)
            writer.close()

    @contextmanager
    def abortable(self) -> Iterator[None]:
        """Inside the block a signal raises KeyboardInterrupt or Terminated at once."""
        before, self.may_abort = self.may_abort, True
        try:
            yield
        finally:
            self.may_abort = before

    def _on_signal(self, number: int, _: Any) -> None:
        repeated = bool(self.signals)
        self.signals.append(number)
        if repeated or self.may_abort:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def _announce(self, reader: socket.socket) -> None:
        with reader:
            while numbers := reader.recv(16):
                if not self._announced.is_set() and STOP_SIGNALS & set(numbers):
                    self._announced.set()
                    how = "" if self.may_abort else " after this step; once more to stop without saving"
                    self._acknowledge(f"stopping{how}")


@dataclass
class Evaluation:
    """Measures the model on held-out puzzles, never past the time that the run has."""

    job: TrainJob
    panel: TrainPanel
    stop: StopRequests
    dtype: torch.dtype

    @property
    def puzzles(self) -> list[Puzzle]:
        """Of all sets."""
        return [puzzle for puzzles in self.job.held_out.values() for puzzle in puzzles]

    def deadline(self, share: float = 1.0) -> float:
        """time.monotonic() at which the run must be over, or that share of the time until then."""
        minutes, now = self.job.recipe.train.minutes, time.monotonic()
        if minutes is None:
            return now + share * FINAL_EVALUATION
        tolerance = max(TOLERANCE * 60 * minutes, MIN_TOLERANCE) - WRITING
        return now + share * max(0.0, 60 * minutes + tolerance - self.panel.seconds)

    def __call__(self, model: Any) -> dict[str, Any]:
        """Shares of a single pass; empty when there was no time for any puzzle, or the run is to stop."""
        from trmsolve.inference.evaluate import measure_single_pass, solver_for

        self.panel.set_phase("evaluating")
        allowed, end = time.monotonic() + EVALUATION_SHARE * 60 * self.job.args.eval_minutes, self.deadline(0.5)
        try:
            with self.stop.abortable():
                solver = solver_for(self.job.task, model, self.dtype)
                counts = measure_single_pass(
                    solver, self.puzzles, SINGLE_PASS_STEPS, min(allowed, end), self.panel.measuring
                )
        except (KeyboardInterrupt, Terminated):
            return {}
        if not counts.puzzles:
            if allowed < end:  # else the run ends, and `final` reports
                self.panel.message("no time to evaluate: choose fewer puzzles, --eval-limit")
            return {}
        rates = {key: round(value, 4) for key, value in counts.rates().items()}
        return {"puzzles": counts.puzzles} | rates

    def final(self, model: Any) -> dict[str, Any]:
        """Measures of the finished checkpoint, with restarts."""
        from trmsolve.inference.evaluate import measure_held_out

        self.panel.set_phase("measuring")
        try:
            with self.stop.abortable():
                sets, deadline = self.job.held_out, self.deadline()
                metrics = measure_held_out(self.job.task, model, sets, self.dtype, deadline, self.panel.measuring)
        except (KeyboardInterrupt, Terminated):
            return {}
        for name, puzzles in sets.items():
            entry = metrics.get(name, {})
            if (number := entry.get("n", 0)) < len(puzzles):
                self.panel.message(f"{name}: time for {number:g} of {len(puzzles)} puzzles; all: trmsolve eval")
            if number:
                restarts = (
                    f"{entry['solved']:.1%} solved of {number:g} puzzles, {entry['without_restarts']:.1%} of them"
                )
                self.panel.message(f"{name}: {restarts} without restarts")
        return metrics


def run_training(job: TrainJob, panel: TrainPanel) -> int:
    """Train, save and evaluate. Returns the exit code."""
    import torch

    from trmsolve.device import resolve_device
    from trmsolve.distributed import ProcessGroup, local_device
    from trmsolve.training.run_dir import RunDir

    args = job.args
    if args.threads:
        torch.set_num_threads(args.threads)
    spec = resolve_device(local_device(args.device))
    stop, folder = StopRequests(panel.stopping), RunDir(job.run)
    with (
        stop.handled(),
        ProcessGroup.joined(spec.device) as group,
        folder if group.is_main else nullcontext(),
        _tensorboard(job.run, panel) if args.tensorboard and group.is_main else nullcontext(panel) as reporter,
    ):
        trainer = _trainer(job, folder, spec, group, panel)
        first_step = trainer.step
        stop.may_abort = group.world_size == 1
        evaluation = Evaluation(job, panel, stop, spec.dtype) if job.held_out else None
        outcome = _train(job, trainer, reporter, panel, stop, evaluation)
        signals = group.broadcast(stop.signals[:1])
        if group.is_main and outcome == "finished":
            _export_result(job, trainer, evaluation, stop)
            signals = signals or stop.signals[:1]
        panel.finish(outcome)
    if group.is_main:
        panel.__exit__()
        _report(job, trainer, outcome, folder.state_file, panel.quiet, trainer.step > first_step)
    if outcome == "diverged":
        return ERROR
    if signals:
        return INTERRUPTED if signals == [signal.SIGINT] else TERMINATED
    return SOLVED


def _trainer(job: TrainJob, folder: RunDir, spec: DeviceSpec, group: ProcessGroup, panel: TrainPanel) -> Trainer:
    """The run, new or resumed from its folder; shows its start."""
    import torch

    from trmsolve.training.compile import compile_pays
    from trmsolve.training.memory import check_memory
    from trmsolve.training.trainer import Trainer

    args, config = job.args, job.recipe.train
    if group.is_main and job.own_checkpoint.exists() and not folder.state_file.exists() and not args.force:
        message = f"{job.run}: has a checkpoint, {job.own_checkpoint.name}, but no training state to resume from"
        raise TrmsolveError(message, "name another --run; to train on from the checkpoint, add --from CHECKPOINT")
    group.assert_equal(data=job.data.describe())
    model_config, bf16 = job.recipe.config_for(job.data), spec.dtype == torch.bfloat16
    check_memory(config, model_config, job.data.draw, spec.device, bf16, group.world_size)
    compiles = compile_pays(config.minutes, spec.device, config.steps) if args.compile is None else args.compile
    trainer = Trainer(
        config,
        model_config,
        job.data.draw,
        folder,
        weights=job.initial_weights(model_config.num_puzzles),
        compile=compiles,
        autocast=bf16,
        device=spec.device,
        group=group,
    )
    trainer.add_session(sys.argv[1:], job.data.describe(), args.source)
    title = f"training {job.recipe.task} in {job.run}"
    log = folder.read_log() if group.is_main else ()
    panel.begin(title, config, trainer.ema.model.config, trainer.seconds, log, evaluates=bool(job.held_out))
    if trainer.step and group.is_main:
        panel.message(f"resuming from step {trainer.step} of {folder.path}")
        if _read_checkpoint(job.own_checkpoint, trainer.step) is None:  # a session ended between the two files
            job.export(trainer, job.own_checkpoint)
    panel.set_phase("compiling" if compiles else "training")
    return trainer


def _train(
    job: TrainJob,
    trainer: Trainer,
    reporter: TrainPanel | TensorBoardReporter,
    panel: TrainPanel,
    stop: StopRequests,
    evaluation: Evaluation | None,
) -> str:
    """Train to the end, or until a signal; saves the state and the run's checkpoint. Returns Trainer.run's outcome."""
    from trmsolve.training.profile import profiler

    args = job.args

    def on_step(step: int, seconds: float, loss: float) -> None:
        stop.may_abort = False
        panel.step(step, loss)

    return trainer.run(
        reporter,
        save_every=60 * args.save_minutes,
        evaluate=evaluation,
        evaluate_every=60 * args.eval_minutes,
        stop=stop,
        on_step=on_step,
        on_save=lambda: job.export(trainer, job.own_checkpoint),
        profile=profiler(args.profile, panel.message) if args.profile and trainer.group.is_main else None,
        startup_seconds=time.monotonic() - panel.began,
    )


def _export_result(job: TrainJob, trainer: Trainer, evaluation: Evaluation | None, stop: StopRequests) -> None:
    """Write the finished checkpoint with its measures; those of a run that was finished before are kept."""
    exported = _read_checkpoint(job.own_checkpoint, trainer.step)
    metrics = exported.metrics if exported is not None else {}
    if evaluation is not None and not metrics and not stop():
        metrics = evaluation.final(trainer.ema.model)
    for path in {job.own_checkpoint, job.output}:
        job.export(trainer, path, metrics)


def _report(job: TrainJob, trainer: Trainer, outcome: str, state_file: Path, quiet: bool, trained: bool) -> None:
    """The last lines: what was reached, and how to use it. trained: by this command, not before."""
    where = f"{outcome} at step {trainer.step} after {trainer.seconds / 60:.1f} min"
    if outcome == "diverged":
        echo_err(f"{where}; the last good state: {state_file}\n  try a lower --lr")
        return
    path = job.output if outcome == "finished" else job.own_checkpoint
    echo_err(f"{where}; checkpoint: {path}")
    if outcome == "interrupted":
        echo_err("resume with the same command")
    elif not trained:
        echo_err("the run was complete: raise --minutes or --steps to train on")
    if not quiet:
        name = job.recipe.task
        command = name if name in BUNDLED else f"solve --task {shell_quote(origin(name))}"
        echo_err(f"use it: trmsolve {command} FILE --checkpoint {shell_quote(path)}")


def _read_checkpoint(path: Path, steps: int) -> Header | None:
    """The header of a checkpoint after this number of optimizer steps; None for another one, or none."""
    from trmsolve.checkpoint import read_header

    with suppress(TrmsolveError, OSError):
        header = read_header(path)
        if header.provenance.get("steps") == steps:
            return header
    return None


@contextmanager
def _tensorboard(run: Path, panel: TrainPanel) -> Iterator[TensorBoardReporter]:
    """The panel, whose metrics are also written for TensorBoard, in RUN/tensorboard."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run / "tensorboard")) as writer:
        yield TensorBoardReporter(writer, panel)


class TensorBoardReporter:
    """Writes metrics as events (training/trainer.py: Reporter), and passes everything on."""

    def __init__(self, writer: Any, panel: TrainPanel) -> None:
        self.writer, self.panel = writer, panel
        self.saved, self.message = panel.saved, panel.message

    def update(self, metrics: dict[str, Any]) -> None:
        """Write the metrics of a step."""
        self._write("train", metrics)
        self.panel.update(metrics)

    def evaluated(self, metrics: dict[str, Any]) -> None:
        """Write the metrics of an evaluation."""
        self._write("eval", metrics)
        self.panel.evaluated(metrics)

    def _write(self, group: str, metrics: dict[str, Any]) -> None:
        for name, value in metrics.items():
            if isinstance(value, int | float) and name != "step":
                self.writer.add_scalar(f"{group}/{name}", value, metrics["step"])
