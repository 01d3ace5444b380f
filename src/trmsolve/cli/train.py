"""trmsolve train --task TASK | --recipe RECIPE"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.inputs import local_data, records
from trmsolve.cli.run import SOLVED, command, distributed
from trmsolve.distributed import get_dist_info
from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get, resolve_task
from trmsolve.tasks.base import InvalidPuzzle, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates
from trmsolve.text_io import check_writable
from trmsolve.threads import wait_passively

if TYPE_CHECKING:
    from trmsolve.api import Model

MINUTES = 30.0  # default length of a run, without --steps and --minutes


@command
@distributed
def train(
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="A task's name (sudoku, maze, arc, grid), or a Python file that defines one.",
            autocompletion=complete.tasks,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="Train by this recipe: a name of --list-recipes, or a YAML file.",
            autocompletion=complete.recipes,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set SECTION.KEY=VALUE of the recipe, for example train.lr=3e-4. Overrides flags."),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the recipe with all flags applied, and exit.")
    ] = False,
    list_recipes: Annotated[
        bool, typer.Option("--list-recipes", help="Print the names of the recipes, and exit.")
    ] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="Train on FILE[=WEIGHT] or generate:9x9[=WEIGHT]. Mazes: generate:[KIND:]SIDE[-SIDE][=WEIGHT]. "
            "ARC: FILE[=WEIGHT], or demonstrations:FILE[=WEIGHT] to ignore the answers of an evaluation set.",
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option("--run", help="Run folder. Resumes the run in it, if any.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Start from this checkpoint's model and weights.", autocompletion=complete.checkpoints
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Total wall time, within 5 % or 10 s.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Total number of optimizer steps.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the checkpoint to this file. Default: RUN/TASK.safetensors."),
    ] = None,
    force: o.Force = False,
    held_out: Annotated[
        list[str] | None,
        typer.Option("--eval", help="Evaluate on this file of held-out puzzles during training. Not for ARC."),
    ] = None,
    eval_limit: Annotated[
        int, typer.Option("--eval-limit", min=1, help="Read only the first N puzzles of each --eval file.")
    ] = 128,
    eval_minutes: Annotated[
        float, typer.Option("--eval-minutes", min=0.01, help="Minutes between evaluations.")
    ] = 10.0,
    save_minutes: Annotated[float, typer.Option("--save-minutes", min=0.0, help="Minutes between saves.")] = 3.0,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Puzzles in a batch, over all processes.")
    ] = None,
    grad_accum_steps: Annotated[
        int | None,
        typer.Option("--grad-accum-steps", "--accumulate", min=1, help="Micro-batches per batch: save memory."),
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", min=0, help="Learning rate. With Muon: of matrices.")] = None,
    adam_lr: Annotated[
        float | None, typer.Option("--adam-lr", min=0, help="With Muon: learning rate of all other parameters.")
    ] = None,
    stable_frac: Annotated[
        float | None,
        typer.Option(
            "--stable-frac", "--hold", min=0, max=1, help="Share of the run at the full learning rate, before decay."
        ),
    ] = None,
    hidden_size: Annotated[
        int | None, typer.Option("--hidden-size", "--width", min=4, help="Size D of x, y and z.")
    ] = None,
    mixer: Annotated[
        str | None,
        typer.Option("--mixer", help="Task grid only: mlp or attention (one size), grid or relational (any size)."),
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Latent updates per latent recursion.")] = None,
    cycles: Annotated[
        int | None, typer.Option("--T", min=1, help="Latent recursions per supervision step; the last has a gradient.")
    ] = None,
    n_sup: Annotated[int | None, typer.Option("--n-sup", min=1, help="Maximum supervision steps per puzzle.")] = None,
    intermediate_size: Annotated[
        int | None, typer.Option("--intermediate-size", "--hidden", min=4, help="Inner size of a layer.")
    ] = None,
    hint_prob: Annotated[
        float | None, typer.Option("--hint-prob", "--easier", min=0, max=1, help="Sudoku: probability of extra givens.")
    ] = None,
    hint_max: Annotated[
        float | None,
        typer.Option("--hint-max", "--easier-most", min=0, max=1, help="Sudoku: largest share of blanks filled in."),
    ] = None,
    unsolvable_prob: Annotated[
        float | None,
        typer.Option("--unsolvable-prob", "--wrong", min=0, max=1, help="Sudoku: probability of a wrong extra given."),
    ] = None,
    off_path: Annotated[
        float | None, typer.Option(min=0, max=1, help="Maze: loss weight of cells off the path.")
    ] = None,
    phase: Annotated[
        float | None, typer.Option(min=0, max=1, help="Maze: loss weight of the distance modulo 8.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Random seed of weights and data.", show_default="0")
    ] = None,
    compile: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Use torch.compile. Default: if the run is long enough."),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads of torch.")] = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu, cuda, cuda:N, mps or auto. Only cpu is tested.")
    ] = "cpu",
    profile: Annotated[
        Path | None,
        typer.Option("--profile", help="Write a trace of a few steps, for Perfetto or chrome://tracing."),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write events to RUN/tensorboard. Needs tensorboard.")
    ] = False,
    color: o.ColorOption = o.Color.auto,
    quiet: o.Quiet = False,
) -> int:
    """Train a model, or resume the run in --run.

    The run is saved every --save-minutes, and on Ctrl-C.

    To train with several processes or machines: torchrun --nproc-per-node 2 -m trmsolve -- train ...

    Exit code: 0 finished, 2 diverged or bad input, 130 interrupted, 143 terminated (resume after both).
    """
    began = time.monotonic()
    wait_passively()

    from trmsolve.cli.train_panel import TrainPanel, console_for_training

    is_main = (info := get_dist_info()) is None or info.is_main
    if list_recipes:
        from trmsolve.training.recipe import names

        if is_main:
            print("\n".join(names()))
        return SOLVED
    if recipe is None and task is None:
        raise TrmsolveError(
            "nothing to train", "name a task, --task sudoku, or a recipe: trmsolve train --list-recipes"
        )
    with TrainPanel(console_for_training(color.value), began, quiet=quiet, silent=not is_main) as panel:
        if not print_config:
            panel.start()  # before torch, whose import takes seconds
        data = [local_data(spec) for spec in data] if data else data
        from trmsolve.cli.train_run import TrainJob, check_threads, logged_to, run_training
        from trmsolve.training import recipe as recipes

        if task is not None:
            task = resolve_task(task).name
        values = recipes.read(recipe) if recipe is not None else recipes.of_task(str(task), data or [], mixer)
        recipes.build(values)  # errors of the recipe itself come first
        if task not in (None, values["task"]):
            raise TrmsolveError(f"the recipe {recipe} is for {values['task']}, not for {task}", "leave out --task")
        check_threads(threads)
        if tensorboard and find_spec("tensorboard") is None:
            raise TrmsolveError("--tensorboard: the package tensorboard is not installed", "pip install tensorboard")
        flags: dict[str, dict[str, Any]] = {
            "model": {
                "hidden_size": hidden_size,
                "n": n,
                "T": cycles,
                "N_sup": n_sup,
                "intermediate_size": intermediate_size,
            },
            "train": {
                "batch_size": batch_size,
                "grad_accum_steps": grad_accum_steps,
                "lr": lr,
                "adam_lr": adam_lr,
                "stable_frac": stable_frac,
                "seed": seed,
            },
            "data": {
                "sources": data,
                "hint_prob": hint_prob,
                "hint_max": hint_max,
                "unsolvable_prob": unsolvable_prob,
                "off_path": off_path,
                "phase": phase,
            },
        }
        start = None
        if source is not None:
            from trmsolve.api import load

            start = load(source, task=get(values["task"]), device="cpu", dtype="float32")
            as_published = recipes.further(values["task"], start.config, data or [])
            if recipe is not None and not quiet:
                panel.message(f"using the model of {source}, and the sections train and data of the recipe")
            values = as_published if recipe is None else {**values, "model": as_published["model"]}
        elif hidden_size and not intermediate_size and "cells" not in values.get("model", {}):
            flags["model"]["intermediate_size"] = 2 * hidden_size
        given = {
            section: {key: value for key, value in settings_of_section.items() if value is not None}
            for section, settings_of_section in flags.items()
        }
        values = recipes.over(values, given)
        values = recipes.with_settings(values, settings or [])
        values = recipes.ending(values, steps, minutes, MINUTES)
        chosen = recipes.build(values)
        the_task = chosen.task_for_model
        known_options = [option.name for option in recipes.trainable(the_task).data_options]
        unknown = [name for name in given["data"] if name != "sources" and name not in known_options]
        if unknown:
            run_kind = f"--task {task}" if recipe is None else f"--recipe {recipe}"
            flag_names = ", ".join(f"--{name.replace('_', '-')}" for name in unknown)
            raise TrmsolveError(f"{flag_names}: not for {run_kind}", "see trmsolve train --help")
        if held_out and isinstance(the_task, Demonstrates):
            raise TrmsolveError(
                f"--eval: each {chosen.task.upper()} task needs test-time training, which takes too long during a run",
                f"evaluate after the run: trmsolve eval {chosen.task} FILE --checkpoint RUN/{chosen.task}.safetensors",
            )
        if print_config:
            if is_main:
                print(chosen.text(), end="")
            return SOLVED

        run = run or Path("runs") / ((recipe and Path(recipe).stem) or chosen.task)
        run_checkpoint = run / f"{chosen.task}.safetensors"
        output = output or run_checkpoint
        for path in [output] * (output != run_checkpoint) + [profile] * (profile is not None):
            if is_main and path is not None:  # other machines write nothing
                check_writable(path, force)
        with logged_to(panel):
            source_data = chosen.data()
            if start is not None and the_task.learns_settings:
                _check_symbols(the_task, start)
            source_data.draw(0)  # unusable data are refused here
            held_out_puzzles = {Path(file).stem: _held_out(the_task, file, eval_limit) for file in held_out or []}
            if not held_out and (kept := getattr(source_data, "held_out", None)):
                held_out_puzzles = {"held_out": kept[:eval_limit]}
            job = TrainJob(
                chosen,
                the_task,
                source_data,
                held_out_puzzles,
                run,
                output,
                command=sys.argv[1:],
                source=source,
                start=start,
                device=device,
                threads=threads,
                compile=compile,
                profile=profile,
                force=force,
                tensorboard=tensorboard,
                save_seconds=60 * save_minutes,
                evaluation_seconds=60 * eval_minutes,
            )
            return run_training(job, panel)


def _check_symbols(task: Task, start: Model) -> None:
    """Raise TrmsolveError if the data and the checkpoint to start from have different symbols."""
    if task.settings["symbols"] != start.checkpoint.header.settings.get("symbols"):
        message = f"the data contain other symbols than those {start.checkpoint.name} was trained on"
        raise TrmsolveError(message, "train a new model, without --from")


def _held_out(task: Task, file: str, limit: int) -> list[Puzzle]:
    puzzles = []
    for record in records(task, [file], limit):
        if isinstance(record, InvalidPuzzle):
            raise TrmsolveError(
                f"{record.source}: {record.message}", "correct the file: held-out puzzles must be valid"
            )
        if reason := task.unsupported_reason(record.question):
            raise TrmsolveError(f"{record.source}: {reason}", "choose held-out puzzles that the model supports")
        puzzles.append(record)
    return puzzles
