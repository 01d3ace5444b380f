"""trmsolve train --task TASK"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import BAD, INTERRUPTED, SOLVED, TERMINATED, guarded, handling, say
from trmsolve.cli.inputs import records
from trmsolve.errors import TrmsolveError
from trmsolve.files import check_writable
from trmsolve.tasks import get
from trmsolve.training.config import TrainConfig


@guarded
def train(
    task: Annotated[str, typer.Option("--task", help="sudoku or maze")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", help="FILE[=WEIGHT]; generate:9x9[=WEIGHT]; mazes: generate:[KIND:]SIDE[-SIDE][=WEIGHT]."
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option("--run", help="Run folder; resumed if it holds a run.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="Start from this checkpoint's weights.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="Wall time in all.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps in all.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The checkpoint; default RUN/TASK.safetensors.")
    ] = None,
    force: o.Force = False,
    held_out: Annotated[
        list[str] | None, typer.Option("--eval", help="Held-out puzzles with answers, measured while training.")
    ] = None,
    eval_limit: Annotated[int, typer.Option("--eval-limit", min=1)] = 128,
    eval_minutes: Annotated[
        float, typer.Option("--eval-minutes", min=0.01, help="Minutes between evaluations.")
    ] = 10.0,
    save_minutes: Annotated[float, typer.Option("--save-minutes", min=0.0, help="Minutes between saves.")] = 3.0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Puzzles in training at once.")] = 32,
    lr: Annotated[
        float, typer.Option("--lr", min=0, help="Muon's learning rate, for the matrices.")
    ] = TrainConfig.muon_lr,
    adam_lr: Annotated[float, typer.Option("--adam-lr", min=0, help="AdamW's, for the rest.")] = TrainConfig.adam_lr,
    hold: Annotated[
        float, typer.Option("--hold", min=0, max=1, help="Share of the run at the full rate; then linear decay.")
    ] = TrainConfig.hold,
    width: Annotated[int | None, typer.Option("--width", min=4, help="Width D of x, y and z.")] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Latent updates per latent recursion.")] = None,
    cycles: Annotated[int | None, typer.Option("--T", min=1, help="Latent recursions, the last with gradient.")] = None,
    n_sup: Annotated[int | None, typer.Option("--n-sup", min=1, help="Supervision steps of a puzzle at most.")] = None,
    hidden: Annotated[int | None, typer.Option("--hidden", min=4, help="Inner width of a layer; twice D.")] = None,
    easier: Annotated[float | None, typer.Option(min=0, max=1, help="Sudoku: share with extra givens.")] = None,
    easier_most: Annotated[float | None, typer.Option(min=0, max=1, help="Sudoku: share of blanks filled in.")] = None,
    wrong: Annotated[float | None, typer.Option(min=0, max=1, help="Sudoku: share made unsolvable.")] = None,
    off_path: Annotated[float | None, typer.Option(min=0, max=1, help="Maze: weight of cells off the path.")] = None,
    phase: Annotated[float | None, typer.Option(min=0, max=1, help="Maze: weight of the distance modulo 8.")] = None,
    seed: o.Seed = 0,
    compile: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile; default: when it pays.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1)] = None,
    color: o.ColorOption = o.Color.auto,
    quiet: o.Quiet = False,
) -> int:
    """Train a model, or go on with the run in --run. Ctrl-C saves; so does every --save-minutes.

    Exit code: 0 finished, 2 diverged or bad input, 130 interrupted, 143 terminated (the run can go on after both).
    """
    the_task = get(task)
    run = run or Path("runs") / task
    own = run / f"{task}.safetensors"  # rewritten as the run goes on; --output waits for its end
    output = output or own
    if output != own:
        check_writable(output, force)
    minutes = 30.0 if minutes is None and steps is None else minutes
    mix = {"easier": easier, "easier_most": easier_most, "wrong": wrong, "off_path": off_path, "phase": phase}
    mix = {key: value for key, value in mix.items() if value is not None}
    if strange := [f"--{key.replace('_', '-')}" for key in mix if key not in the_task.mix]:
        raise TrmsolveError(f"{', '.join(strange)}: not for --task {task}", "see trmsolve train --help")
    source_data = the_task.data(data or [], seed, **mix)
    held_out_puzzles = {Path(file).stem: _held_out(the_task, file, eval_limit) for file in held_out or []}

    import torch

    from trmsolve.api import load
    from trmsolve.model.config import TRMConfig
    from trmsolve.training.finish import finish, measure
    from trmsolve.training.runfolder import RunFolder
    from trmsolve.training.trainer import Trainer

    if threads:
        torch.set_num_threads(threads)
    shape: dict[str, Any] = {
        "width": width,
        "hidden": hidden or (width and 2 * width),
        "n": n,
        "T": cycles,
    }
    shape = {key: value for key, value in (shape | {"N_sup": n_sup}).items() if value is not None}
    weights = None
    base = TRMConfig.from_dict(the_task.model)
    if source is not None:
        start = load(source, task=task, device="cpu", dtype="float32")
        base, weights = start.config, start.network.state_dict()
    config = TrainConfig(
        batch=batch_size, steps=steps, minutes=minutes, muon_lr=lr, adam_lr=adam_lr, hold=hold, seed=seed
    )
    model_config = TRMConfig.from_dict(base.to_dict() | shape)
    stop: list[int] = []

    def on_signal(number: int, _: Any) -> None:
        if stop:  # the second one does not wait for the step to end
            raise KeyboardInterrupt
        stop.append(number)

    handlers = {signal.SIGINT: on_signal, signal.SIGTERM: on_signal}
    with handling(handlers), RunFolder(run) as folder, _progress(config, quiet, color.value) as progress:
        trainer = Trainer(
            config,
            model_config,
            source_data.draw,
            folder,
            weights=weights,
            compile=_pays(minutes) if compile is None else compile,
            autocast=_bfloat16(),
        )
        trainer.note_session(sys.argv[1:], source_data.describe(), source)
        if trainer.step:
            progress.message(f"going on from step {trainer.step} of {folder.path}")
        every = [puzzle for puzzles in held_out_puzzles.values() for puzzle in puzzles]
        evaluate = _evaluation(the_task, every) if every else None
        outcome = trainer.run(
            progress,
            save_every=60 * save_minutes,
            evaluate=evaluate,
            evaluate_every=60 * eval_minutes,
            stop=lambda: bool(stop),
        )
        where = f"{outcome} at step {trainer.step} after {trainer.seconds / 60:.1f} min"
        if outcome == "diverged":
            say(f"{where}; the last good state: {folder.state_file}\n  try a lower --lr")
            return BAD
        metrics = {}
        if outcome == "finished" and held_out_puzzles:
            progress.message("measuring the checkpoint on the held-out puzzles, with restarts")
            metrics = measure(the_task, trainer.ema.model, held_out_puzzles, _dtype())
        path = finish(trainer, task, output if outcome == "finished" else own, metrics)
    say(f"{where}; checkpoint: {path}")
    if outcome == "interrupted":
        say("go on with the same command")
        return INTERRUPTED if stop == [signal.SIGINT] else TERMINATED
    return SOLVED


def _held_out(task: Any, file: str, limit: int) -> list[Any]:
    from trmsolve.tasks.base import BadPuzzle

    puzzles = list(records(task, [file], limit))
    for record in puzzles:
        if isinstance(record, BadPuzzle):
            raise TrmsolveError(f"{record.source}: {record.message}", "held-out puzzles must be free of errors")
    return puzzles


def _evaluation(task: Any, puzzles: list[Any]) -> Any:
    """A measure of a model in training: single passes, as shares."""

    def evaluate(model: Any) -> dict[str, Any]:
        from trmsolve.solving.measure import single_pass
        from trmsolve.training.finish import solver_of

        rates = single_pass(solver_of(task, model, _dtype()), puzzles, (16, 32)).rates()
        return {"puzzles": len(puzzles)} | {key: round(value, 4) for key, value in rates.items()}

    return evaluate


def _dtype() -> Any:
    from trmsolve.device import choose

    return choose("cpu").dtype


def _bfloat16() -> bool:
    import torch

    return _dtype() == torch.bfloat16


def _pays(minutes: float | None) -> bool:
    """torch.compile takes about a minute, and needs a C++ compiler."""
    import shutil

    return (minutes is None or minutes >= 5) and any(shutil.which(name) for name in ("c++", "g++", "clang++"))


def _progress(config: TrainConfig, quiet: bool, color: str) -> Any:
    from trmsolve.view.progress import Progress

    terminal = sys.stderr.isatty() and not quiet
    return Progress(config.minutes, config.steps, terminal, sys.stderr, color)
