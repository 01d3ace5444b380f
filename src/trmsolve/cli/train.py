"""trmsolve train --task TASK | --recipe RECIPE"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.inputs import local_data, records
from trmsolve.cli.options import DATA, EVALUATION, MACHINE, MODEL, RECIPE, RUN, TRAINING, option
from trmsolve.cli.run import SOLVED, command, logged_to
from trmsolve.distributed import get_dist_info
from trmsolve.errors import TrmsolveError
from trmsolve.render.caption import count
from trmsolve.tasks import get, resolve_task
from trmsolve.tasks.base import InvalidPuzzle, Puzzle, Task
from trmsolve.tasks.few_shot import Demonstrates
from trmsolve.text_io import check_writable
from trmsolve.threads import num_cores, wait_passively

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.render.train_panel import TrainPanel

MINUTES = 30.0  # default length of a run, without --steps and --minutes


@dataclass(frozen=True)
class TrainArgs:
    """Options of a run that its recipe does not hold."""

    task: str | None = option(
        None,
        RECIPE,
        "A task's name (sudoku, maze, arc, grid), or a Python file that defines one.",
        complete=complete.tasks,
    )
    recipe: str | None = option(
        None, RECIPE, "Train by this recipe: a name of --list-recipes, or a YAML file.", complete=complete.recipes
    )
    settings: list[str] | None = option(
        None, RECIPE, "Set SECTION.KEY=VALUE of the recipe, for example train.lr=3e-4. Overrides flags.", "--set"
    )
    print_config: bool = option(False, RECIPE, "Print the recipe with all flags applied, and exit.", "--print-config")
    list_recipes: bool = option(False, RECIPE, "Print the names of the recipes, and exit.", "--list-recipes")
    mixer: str | None = option(
        None,
        MODEL,
        "Task grid only: mlp or attention (one size), grid or relational (any size).",
        complete=complete.mixers,
    )
    run: Path | None = option(None, RUN, "Run folder. Resumes the run in it, if any.")
    source: str | None = option(
        None, RUN, "Start from this checkpoint's model and weights.", "--from", complete=complete.checkpoints
    )
    minutes: float | None = option(None, RUN, "Total wall time, within 5 % or 10 s.", min=0)
    steps: int | None = option(None, RUN, "Total number of optimizer steps.", min=1)
    save_minutes: float = option(3.0, RUN, "Minutes between saves.", min=0.0)
    output: Path | None = option(
        None, RUN, "Write the checkpoint to this file.", "-o", "--output", show_default="RUN/TASK.safetensors"
    )
    force: bool = o.FORCE()
    held_out: list[str] | None = option(
        None, EVALUATION, "Evaluate on this file of held-out puzzles during training. Not for ARC.", "--eval"
    )
    eval_limit: int = option(128, EVALUATION, "Read only the first N puzzles of each --eval file.", min=1)
    eval_minutes: float = option(10.0, EVALUATION, "Minutes between evaluations.", min=0.01)
    device: str = option("cpu", MACHINE, "cpu, cuda, cuda:N, mps or auto. Only cpu is tested.")
    threads: int | None = option(None, MACHINE, "CPU threads of torch.", min=1)
    compile: bool | None = option(
        None, MACHINE, "Use torch.compile.", show_default="unless below 5 minutes or 500 steps"
    )
    profile: Path | None = option(None, MACHINE, "Write a trace of a few steps, for Perfetto or chrome://tracing.")
    tensorboard: bool = option(
        False, MACHINE, "Also write events to RUN/tensorboard. Needs tensorboard.", "--tensorboard"
    )
    color: o.Color = o.COLOR()
    quiet: bool = o.QUIET()


@dataclass(frozen=True)
class ModelArgs:
    """Settings of the recipe's section model; None: as the recipe says."""

    hidden_size: int | None = option(None, MODEL, "Size D of x, y and z.", "--hidden-size", "--width", min=4)
    intermediate_size: int | None = option(
        None, MODEL, "Inner size of a layer.", "--intermediate-size", "--hidden", min=4
    )
    n: int | None = option(None, MODEL, "Latent updates per latent recursion.", "--n", min=1)
    T: int | None = option(
        None, MODEL, "Latent recursions per supervision step; the last has a gradient.", "--T", min=1
    )
    N_sup: int | None = option(None, MODEL, "Maximum supervision steps per puzzle.", "--n-sup", min=1)


@dataclass(frozen=True)
class OptimizerArgs:
    """Settings of the recipe's section train; None: as the recipe says."""

    batch_size: int | None = option(None, TRAINING, "Puzzles in a batch, over all processes.", min=1)
    grad_accum_steps: int | None = option(
        None, TRAINING, "Micro-batches per batch: save memory.", "--grad-accum-steps", "--accumulate", min=1
    )
    lr: float | None = option(None, TRAINING, "Learning rate. With Muon: of matrices.", min=0)
    adam_lr: float | None = option(None, TRAINING, "With Muon: learning rate of all other parameters.", min=0)
    stable_frac: float | None = option(
        None,
        TRAINING,
        "Share of the run at the full learning rate, before decay.",
        "--stable-frac",
        "--hold",
        min=0,
        max=1,
    )
    seed: int | None = option(None, TRAINING, "Random seed of weights and data.", min=0, show_default="0")


@dataclass(frozen=True)
class DataArgs:
    """Settings of the recipe's section data; None: as the recipe says."""

    sources: list[str] | None = option(
        None,
        DATA,
        "Train on FILE[=WEIGHT] or generate:9x9[=WEIGHT]. Mazes: generate:[KIND:]SIDE[-SIDE][=WEIGHT]. "
        "ARC: FILE[=WEIGHT], or demonstrations:FILE[=WEIGHT] to ignore the answers of an evaluation set.",
        "--data",
    )
    hint_prob: float | None = option(
        None, DATA, "Sudoku: probability of extra givens.", "--hint-prob", "--easier", min=0, max=1
    )
    hint_max: float | None = option(
        None, DATA, "Sudoku: largest share of blanks filled in.", "--hint-max", "--easier-most", min=0, max=1
    )
    unsolvable_prob: float | None = option(
        None, DATA, "Sudoku: probability of a wrong extra given.", "--unsolvable-prob", "--wrong", min=0, max=1
    )
    off_path: float | None = option(None, DATA, "Maze: loss weight of cells off the path.", min=0, max=1)
    phase: float | None = option(None, DATA, "Maze: loss weight of the distance modulo 8.", min=0, max=1)


@command(TrainArgs, ModelArgs, OptimizerArgs, DataArgs, distributed=True)
def train(args: TrainArgs, model: ModelArgs, optimizer: OptimizerArgs, data: DataArgs) -> int:
    """Train a model, or resume the run in --run.

    The run is saved every --save-minutes, and on Ctrl-C.

    To train with several processes or machines: torchrun --nproc-per-node 2 -m trmsolve -- train ...

    Exit code: 0 finished, 2 diverged or bad input, 130 interrupted, 143 terminated (resume after both).
    """
    began = time.monotonic()
    is_main = (info := get_dist_info()) is None or info.is_main
    if args.list_recipes:
        if is_main:
            print("\n".join(complete.recipes("")))
        return SOLVED
    if args.recipe is None and args.task is None:
        raise TrmsolveError(
            "nothing to train", "name a task, --task sudoku, or a recipe: trmsolve train --list-recipes"
        )
    if args.minutes == 0:
        raise TrmsolveError("--minutes 0 leaves no time to train", "for example --minutes 10")
    wait_passively()

    from trmsolve.render.console import console_for
    from trmsolve.render.train_panel import TrainPanel

    console = console_for(sys.stderr, args.color.value)
    with TrainPanel(console, began, quiet=args.quiet, silent=not is_main) as panel:
        if not args.print_config:
            panel.start()  # before torch, whose import takes seconds
        sources = [local_data(spec) for spec in data.sources or []]
        sections = {"model": asdict(model), "train": asdict(optimizer), "data": asdict(data) | {"sources": sources}}
        given = {
            section: {key: value for key, value in settings.items() if value not in (None, [])}
            for section, settings in sections.items()
        }
        recipe, start = _recipe(args, given, panel)
        if args.print_config:
            if is_main:
                print(recipe.text(), end="")
            return SOLVED
        from trmsolve.cli.train_run import TrainJob, run_training

        run = args.run or Path("runs") / ((args.recipe and Path(args.recipe).stem) or recipe.task)
        run_checkpoint = run / f"{recipe.task}.safetensors"
        output = args.output or run_checkpoint
        for path in [output] * (output != run_checkpoint) + [args.profile] * (args.profile is not None):
            if is_main and path is not None:  # other machines write nothing
                check_writable(path, args.force)
        with logged_to(panel.message, logging.WARNING):  # puzzles that are left out
            task, draws = recipe.task_for_model, recipe.data()
            if start is not None and task.learns_settings:
                _check_symbols(task, start)
            draws.draw(0)  # unusable data are refused here
            held_out = {Path(file).stem: _held_out(task, file, args.eval_limit) for file in args.held_out or []}
            if not held_out and (kept := getattr(draws, "held_out", None)):
                held_out = {"held_out": kept[: args.eval_limit]}
            return run_training(TrainJob(args, recipe, task, draws, held_out, run, output, start), panel)


def _recipe(args: TrainArgs, given: dict[str, dict[str, Any]], panel: TrainPanel) -> tuple[Any, Model | None]:
    """The recipe with all flags applied, and the model of --from. Raises TrmsolveError for what does not fit together.

    given: the settings of flags, by section.
    """
    from trmsolve.training import recipe as recipes

    task, sources = args.task and resolve_task(args.task).name, given["data"].get("sources", [])
    values = recipes.of_task(str(task), sources, args.mixer) if args.recipe is None else recipes.read(args.recipe)
    recipes.build(values)  # errors of the recipe itself come first
    if task not in (None, values["task"]):
        raise TrmsolveError(f"the recipe {args.recipe} is for {values['task']}, not for {task}", "leave out --task")
    if args.threads is not None and args.threads > (cores := num_cores()):
        raise TrmsolveError(
            f"--threads {args.threads}: this machine has {count(cores, 'core')}", f"--threads {cores} at most"
        )
    if args.tensorboard and find_spec("tensorboard") is None:
        raise TrmsolveError("--tensorboard: the package tensorboard is not installed", "pip install tensorboard")
    start = None
    if args.source is not None:
        from trmsolve.api import load

        start = load(args.source, task=get(values["task"]), device="cpu", dtype="float32")
        as_published = recipes.further(values["task"], start.config, sources)
        if args.recipe is not None and not args.quiet:
            panel.message(f"using the model of {args.source}, and the sections train and data of the recipe")
        values = as_published if args.recipe is None else {**values, "model": as_published["model"]}
    elif "hidden_size" in given["model"] and "cells" not in values.get("model", {}):
        given["model"].setdefault("intermediate_size", 2 * given["model"]["hidden_size"])
    values = recipes.over(values, given)
    values = recipes.with_settings(values, args.settings or [])
    recipe = recipes.build(recipes.ending(values, args.steps, args.minutes, MINUTES))
    data_options = ["sources", *(setting.name for setting in recipes.trainable(recipe.task_for_model).data_options)]
    if unknown := [name for name in given["data"] if name not in data_options]:
        run_kind = f"--task {args.task}" if args.recipe is None else f"--recipe {args.recipe}"
        flag_names = ", ".join(f"--{name.replace('_', '-')}" for name in unknown)
        raise TrmsolveError(f"{flag_names}: not for {run_kind}", "see trmsolve train --help")
    if args.held_out and isinstance(recipe.task_for_model, Demonstrates):
        raise TrmsolveError(
            f"--eval: each {recipe.task.upper()} task needs test-time training, which takes too long during a run",
            f"evaluate after the run: trmsolve eval {recipe.task} FILE --checkpoint RUN/{recipe.task}.safetensors",
        )
    return recipe, start


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
