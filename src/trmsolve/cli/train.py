"""trmsolve train --task TASK | --recipe RECIPE"""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.inputs import records
from trmsolve.cli.run import ERROR, INTERRUPTED, SOLVED, TERMINATED, command, distributed, echo_err, handling
from trmsolve.distributed import get_dist_info
from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get, resolve_task
from trmsolve.tasks.few_shot import Demonstrates
from trmsolve.text_io import check_writable
from trmsolve.threads import wait_passively

MINUTES = 30.0  # of a run that nothing else ends


@command
@distributed
def train(
    task: Annotated[
        str | None,
        typer.Option("--task", help="A task's name (sudoku, maze, arc, grid), or a Python file that defines one."),
    ] = None,
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
    grad_accum_steps: Annotated[
        int | None,
        typer.Option("--grad-accum-steps", "--accumulate", min=1, help="Micro-batches: less memory, same result."),
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", min=0, help="Learning rate, with Muon that of matrices.")] = None,
    adam_lr: Annotated[float | None, typer.Option("--adam-lr", min=0, help="With Muon: AdamW's, for the rest.")] = None,
    stable_frac: Annotated[
        float | None,
        typer.Option(
            "--stable-frac", "--hold", min=0, max=1, help="Share of the run at the full rate; then it decays."
        ),
    ] = None,
    hidden_size: Annotated[
        int | None, typer.Option("--hidden-size", "--width", min=4, help="Size D of x, y and z.")
    ] = None,
    mixer: Annotated[
        str | None, typer.Option("--mixer", help="grid: mlp or attention for one size, grid or relational for any.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Latent updates per latent recursion.")] = None,
    cycles: Annotated[int | None, typer.Option("--T", min=1, help="Latent recursions, the last with gradient.")] = None,
    n_sup: Annotated[int | None, typer.Option("--n-sup", min=1, help="Supervision steps of a puzzle at most.")] = None,
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

    is_main = (info := get_dist_info()) is None or info.is_main
    quiet = quiet or not is_main
    if list_recipes:
        if is_main:
            print("\n".join(recipes.names()))
        return SOLVED
    if task is None and recipe is None:
        raise TrmsolveError(
            "nothing to train", "name a task, --task sudoku, or a recipe: trmsolve train --list-recipes"
        )
    if task is not None:
        task = resolve_task(task).name
    values = recipes.of_task(task, data or [], mixer) if recipe is None else recipes.read(recipe)
    recipes.build(values)  # what is wrong with the recipe itself comes first
    if task not in (None, values["task"]):
        raise TrmsolveError(f"the recipe {recipe} is for {values['task']}, not for {task}", "leave out --task")
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
        "data": {"sources": data, "hint_prob": hint_prob, "hint_max": hint_max, "unsolvable_prob": unsolvable_prob},
    }
    flags["data"] |= {"off_path": off_path, "phase": phase}
    if source is not None:
        from trmsolve.api import load

        start = load(source, task=get(values["task"]), device="cpu", dtype="float32")
        as_published = recipes.further(values["task"], start.config, data or [])
        if recipe is not None and not quiet:
            echo_err(f"the model is that of {source}; of the recipe only train and data count")
        values = as_published if recipe is None else {**values, "model": as_published["model"]}
    elif hidden_size and not intermediate_size and "cells" not in values.get("model", {}):
        flags["model"]["intermediate_size"] = 2 * hidden_size
    given = {name: {key: value for key, value in of.items() if value is not None} for name, of in flags.items()}
    values = recipes.over(values, given)
    values = recipes.with_settings(values, settings or [])
    values = recipes.ending(values, steps, minutes, MINUTES)
    chosen = recipes.build(values)
    known_options = [option.name for option in recipes.trainable(chosen.task_for_model).data_options]
    unknown = [name for name in given["data"] if name != "sources" and name not in known_options]
    if unknown:
        who = f"--task {task}" if recipe is None else f"--recipe {recipe}"
        names = ", ".join(f"--{name.replace('_', '-')}" for name in unknown)
        raise TrmsolveError(f"{names}: not for {who}", "see trmsolve train --help")
    if held_out and isinstance(chosen.task_for_model, Demonstrates):
        raise TrmsolveError(
            f"--eval: every {chosen.task.upper()} task is adapted to first, which takes longer than a look in between",
            f"when the run is over: trmsolve eval {chosen.task} FILE --checkpoint RUN/{chosen.task}.safetensors",
        )
    config = chosen.train
    if print_config:
        if is_main:
            print(chosen.text(), end="")
        return SOLVED

    run = run or Path("runs") / ((recipe and Path(recipe).stem) or chosen.task)
    own = run / f"{chosen.task}.safetensors"  # rewritten as the run goes on; --output waits for its end
    output = output or own
    for path in [output] * (output != own) + [profile] * (profile is not None):
        if is_main:  # the files of other machines are none of the run's
            check_writable(path, force)
    the_task, source_data = chosen.task_for_model, chosen.data()
    if source is not None and the_task.learns_settings:
        _check_symbols(the_task, start)
    source_data.draw(0)  # what cannot be used is refused now
    held_out_puzzles = {Path(file).stem: _held_out(the_task, file, eval_limit) for file in held_out or []}
    if not held_out and (kept := getattr(source_data, "held_out", None)):
        held_out_puzzles = {"held_out": kept[:eval_limit]}

    import torch

    from trmsolve.device import resolve_device
    from trmsolve.distributed import ProcessGroup, local_device
    from trmsolve.inference.held_out import measure_held_out
    from trmsolve.training.compile import compile_pays
    from trmsolve.training.export import export_checkpoint
    from trmsolve.training.run_dir import RunDir
    from trmsolve.training.trainer import Trainer

    if threads:
        torch.set_num_threads(threads)
    device_spec = resolve_device(local_device(device))
    model, weights = chosen.config_for(source_data), None
    if source is not None:
        weights = start.network.state_dict()
        if hasattr(start.network.embed, "new_table"):
            weights = weights | start.network.embed.new_table(model.num_puzzles)
    stop: list[int] = []

    def on_signal(number: int, _: Any) -> None:
        if stop:  # the second one does not wait for the step to end
            raise KeyboardInterrupt
        stop.append(number)

    handlers = {signal.SIGINT: on_signal, signal.SIGTERM: on_signal}
    folder = RunDir(run)
    with (
        handling(handlers),
        ProcessGroup.joined(device_spec.device) as group,
        folder if group.is_main else nullcontext(),
        _progress(config, quiet, color.value) as progress,
    ):
        group.assert_equal(data=source_data.describe())
        trainer = Trainer(
            config,
            model,
            source_data.draw,
            folder,
            weights=weights,
            compile=compile_pays(config.minutes, device_spec.device) if compile is None else compile,
            autocast=device_spec.dtype == torch.bfloat16,
            device=device_spec.device,
            group=group,
        )
        trainer.add_session(sys.argv[1:], source_data.describe(), source)
        if trainer.step and group.is_main:
            progress.message(f"resuming from step {trainer.step} of {folder.path}")
        every = [puzzle for puzzles in held_out_puzzles.values() for puzzle in puzzles]
        evaluate = _evaluation(the_task, every, device_spec.dtype) if every else None
        outcome = trainer.run(
            progress,
            save_every=60 * save_minutes,
            evaluate=evaluate,
            evaluate_every=60 * eval_minutes,
            stop=lambda: bool(stop),
            profile=_profile(profile, force, progress) if profile and group.is_main else None,
        )
        stopped = group.broadcast(stop[:1])
        if group.is_main:
            where = f"{outcome} at step {trainer.step} after {trainer.seconds / 60:.1f} min"
            if outcome == "diverged":
                message = f"{where}; the last good state: {folder.state_file}\n  try a lower --lr"
            else:
                metrics = {}
                if outcome == "finished" and held_out_puzzles:
                    progress.message("measuring the checkpoint on the held-out puzzles, with restarts")
                    metrics = measure_held_out(the_task, trainer.ema.model, held_out_puzzles, device_spec.dtype)
                path = export_checkpoint(
                    trainer, chosen.task, output if outcome == "finished" else own, metrics, the_task.settings
                )
                message = f"{where}; checkpoint: {path}"
    if is_main:
        echo_err(message)
    if outcome == "diverged":
        return ERROR
    if outcome == "interrupted":
        if is_main:
            echo_err("resume with the same command")
        return INTERRUPTED if stopped == [signal.SIGINT] else TERMINATED
    return SOLVED


def _check_symbols(task: Any, start: Any) -> None:
    """Raises TrmsolveError when data and the checkpoint to start from have different symbols."""
    if task.settings["symbols"] != start.checkpoint.header.settings.get("symbols"):
        message = f"the data hold other symbols than {start.checkpoint.name} was trained on"
        raise TrmsolveError(message, "train a new model, without --from")


def _held_out(task: Any, file: str, limit: int) -> list[Any]:
    from trmsolve.tasks.base import InvalidPuzzle

    puzzles = list(records(task, [file], limit))
    for record in puzzles:
        if isinstance(record, InvalidPuzzle):
            raise TrmsolveError(f"{record.source}: {record.message}", "held-out puzzles must be free of errors")
        if reason := task.unsupported_reason(record.question):
            raise TrmsolveError(f"{record.source}: {reason}", "measure on puzzles that the model can take")
    return puzzles


def _evaluation(task: Any, puzzles: list[Any], dtype: Any) -> Any:
    """A measure of a model in training: single passes, as shares."""

    def evaluate(model: Any) -> dict[str, Any]:
        from trmsolve.inference.evaluate import single_pass
        from trmsolve.inference.held_out import solver_for

        rates = single_pass(solver_for(task, model, dtype), puzzles, (16, 32)).rates()
        return {"puzzles": len(puzzles)} | {key: round(value, 4) for key, value in rates.items()}

    return evaluate


def _profile(path: Path, force: bool, progress: Any) -> Any:
    from trmsolve.training.profile import Profile

    return Profile(path, force, progress.message)


def _progress(config: Any, quiet: bool, color: str) -> Any:
    from trmsolve.render.progress import Progress

    terminal = sys.stderr.isatty() and not quiet
    return Progress(config.minutes, config.steps, terminal, sys.stderr, color)
