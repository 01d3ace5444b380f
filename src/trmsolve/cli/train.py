"""trmsolve train --task TASK | --recipe RECIPE"""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import BAD, INTERRUPTED, SOLVED, TERMINATED, guarded, handling, say, shared
from trmsolve.cli.inputs import records
from trmsolve.cli.once import said_once
from trmsolve.errors import TrmsolveError
from trmsolve.files import check_writable
from trmsolve.place import place
from trmsolve.threads import wait_passively

MINUTES = 30.0  # of a run that nothing else ends


@guarded
@shared
@said_once
def train(
    task: Annotated[str | None, typer.Option("--task", help="sudoku, maze or arc, as the bundled checkpoint.")] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Of a published network, or FILE; see --list-recipes.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE, over all flags: train.lr=3e-4.")
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="The recipe with all flags, and nothing else.")
    ] = False,
    list_recipes: Annotated[
        bool, typer.Option("--list-recipes", help="Names of the recipes, and nothing else.")
    ] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="FILE[=WEIGHT]; generate:9x9[=WEIGHT]; mazes: generate:[KIND:]SIDE[-SIDE][=WEIGHT]; "
            "ARC: FILE[=WEIGHT], or demonstrations:FILE[=WEIGHT] for evaluation sets, whose answers are not read.",
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option("--run", help="Run folder; resumed if it holds a run.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Start from this checkpoint's model and weights.")
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="Wall time in all.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps in all.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The checkpoint; default RUN/TASK.safetensors.")
    ] = None,
    force: o.Force = False,
    held_out: Annotated[
        list[str] | None,
        typer.Option("--eval", help="Held-out puzzles with answers, measured while training; not for ARC."),
    ] = None,
    eval_limit: Annotated[int, typer.Option("--eval-limit", min=1)] = 128,
    eval_minutes: Annotated[
        float, typer.Option("--eval-minutes", min=0.01, help="Minutes between evaluations.")
    ] = 10.0,
    save_minutes: Annotated[float, typer.Option("--save-minutes", min=0.0, help="Minutes between saves.")] = 3.0,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Puzzles in training at once, of all processes together.")
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option("--accumulate", min=1, help="Parts that a batch is computed in: less memory, same result."),
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", min=0, help="Learning rate, with Muon that of matrices.")] = None,
    adam_lr: Annotated[float | None, typer.Option("--adam-lr", min=0, help="With Muon: AdamW's, for the rest.")] = None,
    hold: Annotated[
        float | None, typer.Option("--hold", min=0, max=1, help="Share of the run at the full rate; then it falls.")
    ] = None,
    width: Annotated[int | None, typer.Option("--width", min=4, help="Width D of x, y and z.")] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Latent updates per latent recursion.")] = None,
    cycles: Annotated[int | None, typer.Option("--T", min=1, help="Latent recursions, the last with gradient.")] = None,
    n_sup: Annotated[int | None, typer.Option("--n-sup", min=1, help="Supervision steps of a puzzle at most.")] = None,
    hidden: Annotated[int | None, typer.Option("--hidden", min=4, help="Inner width of a layer.")] = None,
    easier: Annotated[float | None, typer.Option(min=0, max=1, help="Sudoku: share with extra givens.")] = None,
    easier_most: Annotated[
        float | None, typer.Option(min=0, max=1, help="Sudoku: share of blanks filled in at first.")
    ] = None,
    wrong: Annotated[float | None, typer.Option(min=0, max=1, help="Sudoku: share made unsolvable.")] = None,
    off_path: Annotated[float | None, typer.Option(min=0, max=1, help="Maze: weight of cells off the path.")] = None,
    phase: Annotated[float | None, typer.Option(min=0, max=1, help="Maze: weight of the distance modulo 8.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of weights and data.", show_default="0")] = None,
    compile: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile; default: when it pays.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1)] = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu, cuda, cuda:N, mps or auto; tested on cpu alone.")
    ] = "cpu",
    profile: Annotated[
        Path | None,
        typer.Option("--profile", help="Write a trace of some steps, for Perfetto or chrome://tracing, and go on."),
    ] = None,
    color: o.ColorOption = o.Color.auto,
    quiet: o.Quiet = False,
) -> int:
    """Train a model, or go on with the run in --run. Ctrl-C saves; so does every --save-minutes.

    Several processes, or machines, train one model: torchrun --nproc-per-node 2 -m trmsolve -- train ...

    Exit code: 0 finished, 2 diverged or bad input, 130 interrupted, 143 terminated (the run can go on after both).
    """
    wait_passively()

    from trmsolve.training import recipe as recipes

    speaks = (where := place()) is None or where.first
    quiet = quiet or not speaks
    if list_recipes:
        if speaks:
            print("\n".join(recipes.names()))
        return SOLVED
    if task is None and recipe is None:
        raise TrmsolveError(
            "nothing to train", "name a task, --task sudoku, or a recipe: trmsolve train --list-recipes"
        )
    values = recipes.of_task(task) if recipe is None else recipes.read(recipe)
    recipes.build(values)  # what is wrong with the recipe itself comes first
    if task not in (None, values["task"]):
        raise TrmsolveError(f"the recipe {recipe} is for {values['task']}, not for {task}", "leave out --task")
    flags: dict[str, dict[str, Any]] = {
        "model": {"width": width, "n": n, "T": cycles, "N_sup": n_sup, "hidden": hidden},
        "train": {
            "batch": batch_size,
            "accumulate": accumulate,
            "lr": lr,
            "adam_lr": adam_lr,
            "hold": hold,
            "seed": seed,
        },
        "data": {"sources": data, "easier": easier, "easier_most": easier_most, "wrong": wrong},
    }
    flags["data"] |= {"off_path": off_path, "phase": phase}
    if source is not None:
        from trmsolve.api import load

        start = load(source, task=values["task"], device="cpu", dtype="float32")
        as_published = recipes.further(values["task"], start.config)
        if recipe is not None and not quiet:
            say(f"the model is that of {source}; of the recipe only train and data count")
        values = as_published if recipe is None else {**values, "model": as_published["model"]}
    elif width and not hidden and "cells" not in values.get("model", {}):
        flags["model"]["hidden"] = 2 * width
    given = {name: {key: value for key, value in of.items() if value is not None} for name, of in flags.items()}
    values = recipes.over(values, given)
    values = recipes.with_settings(values, settings or [])
    values = recipes.ending(values, steps, minutes, MINUTES)
    chosen = recipes.build(values)
    mixed = [name for name in given["data"] if name != "sources" and name not in chosen.player.mix]
    if mixed:
        who = f"--task {task}" if recipe is None else f"--recipe {recipe}"
        names = ", ".join(f"--{name.replace('_', '-')}" for name in mixed)
        raise TrmsolveError(f"{names}: not for {who}", "see trmsolve train --help")
    if held_out and chosen.config.facets:
        raise TrmsolveError(
            f"--eval: every {chosen.task.upper()} task is adapted to first, which takes longer than a look in between",
            f"when the run is over: trmsolve eval {chosen.task} FILE --checkpoint RUN/{chosen.task}.safetensors",
        )
    config = chosen.train
    if print_config:
        if speaks:
            print(chosen.text(), end="")
        return SOLVED

    run = run or Path("runs") / ((recipe and Path(recipe).stem) or chosen.task)
    own = run / f"{chosen.task}.safetensors"  # rewritten as the run goes on; --output waits for its end
    output = output or own
    for path in [output] * (output != own) + [profile] * (profile is not None):
        if speaks:  # the files of other machines are none of the run's
            check_writable(path, force)
    the_task, source_data = chosen.player, chosen.data()
    source_data.draw(0)  # what cannot be used is refused now
    held_out_puzzles = {Path(file).stem: _held_out(the_task, file, eval_limit) for file in held_out or []}

    import torch

    from trmsolve.device import choose
    from trmsolve.training.compiling import pays
    from trmsolve.training.distributed import Team, device_of
    from trmsolve.training.finish import finish, measure
    from trmsolve.training.runfolder import RunFolder
    from trmsolve.training.trainer import Trainer

    if threads:
        torch.set_num_threads(threads)
    where_to = choose(device_of(device))
    model, weights = chosen.fitted(source_data), None
    if source is not None:
        weights = start.network.state_dict()
        if start.config.facets:
            weights = weights | start.network.embed.rows(model.puzzles)
    stop: list[int] = []

    def on_signal(number: int, _: Any) -> None:
        if stop:  # the second one does not wait for the step to end
            raise KeyboardInterrupt
        stop.append(number)

    handlers = {signal.SIGINT: on_signal, signal.SIGTERM: on_signal}
    folder = RunFolder(run)
    with (
        handling(handlers),
        Team.joined(where_to.device) as team,
        folder if team.first else nullcontext(),
        _progress(config, quiet, color.value) as progress,
    ):
        team.agree(data=source_data.describe())
        trainer = Trainer(
            config,
            model,
            source_data.draw,
            folder,
            weights=weights,
            compile=pays(config.minutes, where_to.device) if compile is None else compile,
            autocast=where_to.dtype == torch.bfloat16,
            device=where_to.device,
            team=team,
        )
        trainer.note_session(sys.argv[1:], source_data.describe(), source)
        if trainer.step and team.first:
            progress.message(f"going on from step {trainer.step} of {folder.path}")
        every = [puzzle for puzzles in held_out_puzzles.values() for puzzle in puzzles]
        evaluate = _evaluation(the_task, every, where_to.dtype) if every else None
        outcome = trainer.run(
            progress,
            save_every=60 * save_minutes,
            evaluate=evaluate,
            evaluate_every=60 * eval_minutes,
            stop=lambda: bool(stop),
            profile=_profile(profile, force, progress) if profile and team.first else None,
        )
        stopped = team.told(stop[:1])
        if team.first:
            where = f"{outcome} at step {trainer.step} after {trainer.seconds / 60:.1f} min"
            if outcome == "diverged":
                said = f"{where}; the last good state: {folder.state_file}\n  try a lower --lr"
            else:
                metrics = {}
                if outcome == "finished" and held_out_puzzles:
                    progress.message("measuring the checkpoint on the held-out puzzles, with restarts")
                    metrics = measure(the_task, trainer.ema.model, held_out_puzzles, where_to.dtype)
                path = finish(trainer, chosen.task, output if outcome == "finished" else own, metrics)
                said = f"{where}; checkpoint: {path}"
    if speaks:
        say(said)
    if outcome == "diverged":
        return BAD
    if outcome == "interrupted":
        if speaks:
            say("go on with the same command")
        return INTERRUPTED if stopped == [signal.SIGINT] else TERMINATED
    return SOLVED


def _held_out(task: Any, file: str, limit: int) -> list[Any]:
    from trmsolve.tasks.base import BadPuzzle

    puzzles = list(records(task, [file], limit))
    for record in puzzles:
        if isinstance(record, BadPuzzle):
            raise TrmsolveError(f"{record.source}: {record.message}", "held-out puzzles must be free of errors")
        if reason := task.unfit(record.question):
            raise TrmsolveError(f"{record.source}: {reason}", "measure on puzzles that the model can take")
    return puzzles


def _evaluation(task: Any, puzzles: list[Any], dtype: Any) -> Any:
    """A measure of a model in training: single passes, as shares."""

    def evaluate(model: Any) -> dict[str, Any]:
        from trmsolve.solving.measure import single_pass
        from trmsolve.training.finish import solver_of

        rates = single_pass(solver_of(task, model, dtype), puzzles, (16, 32)).rates()
        return {"puzzles": len(puzzles)} | {key: round(value, 4) for key, value in rates.items()}

    return evaluate


def _profile(path: Path, force: bool, progress: Any) -> Any:
    from trmsolve.training.profile import Profile

    return Profile(path, force, progress.message)


def _progress(config: Any, quiet: bool, color: str) -> Any:
    from trmsolve.view.progress import Progress

    terminal = sys.stderr.isatty() and not quiet
    return Progress(config.minutes, config.steps, terminal, sys.stderr, color)
