"""trmsolve bench"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.bench_text import text
from trmsolve.cli.inputs import records
from trmsolve.cli.output import put, status_line
from trmsolve.cli.run import SOLVED, command, echo_err
from trmsolve.cli.task_option import task_for
from trmsolve.errors import TrmsolveError
from trmsolve.inference.options import SolveOptions
from trmsolve.tasks import get, origin
from trmsolve.tasks.base import Generates, Puzzle

if TYPE_CHECKING:
    from trmsolve.api import Model

SEED = 0  # of the puzzles that are generated where no file is named
QUICK = ("max_steps", "restarts", "confidence_floor", "restart_confidence")  # options of the quick settings


class What(str, Enum):
    """What to measure."""

    inference = "inference"
    training = "training"
    all = "all"


@command
def bench(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Puzzles; training needs answers. Default: generated puzzles."),
    ] = None,
    task: Annotated[str, typer.Option("--task", help="Measure this task: sudoku or maze.")] = "sudoku",
    what: Annotated[What, typer.Option("--what", help="Measure solving, training, or both.")] = What.inference,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Maximum number of puzzles.")] = 64,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Repeat every measurement N times, in turns.")] = 3,
    checkpoint: o.Checkpoint = None,
    max_steps: Annotated[
        int, typer.Option("--max-steps", min=1, help="Quick settings: maximum steps of the first run.")
    ] = 32,
    restarts: Annotated[
        int, typer.Option("--restarts", min=0, help="Quick settings: maximum restarts per puzzle.")
    ] = 0,
    confidence_floor: Annotated[
        float,
        typer.Option(
            "--confidence-floor",
            "--give-up",
            min=0,
            max=1,
            help="Quick settings: end the first run when its mean confidence is below this.",
        ),
    ] = 0.35,
    restart_confidence: Annotated[
        float,
        typer.Option(
            "--restart-confidence",
            "--promise",
            min=0,
            max=1,
            help="Quick settings: do not restart a puzzle whose run ended below this mean confidence.",
        ),
    ] = 0.0,
    batch_size: o.BatchSize = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimizer steps per training measurement.")] = 20,
    busy: Annotated[
        bool, typer.Option("--busy", help="Measure the speed next to a busy process, instead of the comparison.")
    ] = False,
    compile: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile our training. Default: as trmsolve train decides."),
    ] = None,
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> int:
    """Measure the speed of solving and training, in turns with a baseline on the same weights.

    Solving: the baseline is the published procedure, 16 steps for every puzzle in one large eager batch. It is compared
    with the default settings, and with quick settings of about the same accuracy: a single pass that stops when the
    rules accept the answer, and gives up on puzzles with low confidence.

    Training: the baseline is eager, with AdamW, one optimizer step per supervision step. It is compared with the
    procedure of trmsolve train.

    Each figure is the median of --repeat measurements, with the smallest and the largest.
    """
    the_task = task_for(task, checkpoint)
    task = the_task.name
    if task == "arc":
        raise TrmsolveError(
            "bench does not measure ARC, which needs test-time training",
            "measure steps and seconds per task: trmsolve eval arc FILE",
        )
    puzzles = _puzzles(the_task, files, number) if what != What.training or files else []

    import torch

    from trmsolve import __version__
    from trmsolve.api import load
    from trmsolve.benchmark.measure import Statistic
    from trmsolve.inference.flops import matmul_rate
    from trmsolve.training.provenance import hardware

    model = load(checkpoint, task=the_task, device=device, dtype=dtype)
    puzzles = _fitting(model, puzzles)
    device_used, precision = model.device_spec.device, model.device_spec.dtype
    with status_line(not quiet) as show:
        show("matrix multiply")
        report: dict[str, Any] = {
            "task": task,
            "puzzles": len(puzzles),
            "files": files or [],
            "checkpoint": model.checkpoint.name,
            "checkpoint_sha256": model.checkpoint.sha256,
            "device": str(device_used),
            "dtype": str(precision).removeprefix("torch."),
            "hardware": hardware(device_used),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "trmsolve": __version__,
            "repeat": repeat,
            "matmul_flops_per_second": Statistic.of(
                [matmul_rate(device_used, precision) for _ in range(repeat)]
            ).to_dict(),
        }
        if busy:
            report["busy"] = _busy(model, puzzles, what, files, steps, repeat, show)
        elif what != What.training:
            quick = SolveOptions(
                max_steps=max_steps,
                restarts=restarts,
                confidence_floor=confidence_floor,
                restart_confidence=restart_confidence,
                batch_size=batch_size,
            )
            report["inference"] = _inference(model, puzzles, quick, repeat, device, dtype, show)
        if what != What.inference and not busy:
            report["training"] = _training(model, files, steps, repeat, compile, show)
    put(json.dumps(report, indent=2) if as_json else text(report))
    return SOLVED


def _puzzles(task: Any, files: list[str] | None, number: int) -> list[Puzzle]:
    """The first `number` puzzles of the files, or of the generator with a fixed seed."""
    if not files and not isinstance(task, Generates):
        raise TrmsolveError(f"{task.name} has no generator", "name a file of puzzles")
    if not files:
        return [Puzzle(task.generate(SEED, index)[0]) for index in range(number)]
    from trmsolve.inference.evaluate import split_records

    puzzles, bad = split_records(records(task, files, number))
    for record in bad:
        echo_err(f"{record.source}: {record.message}")
    if not puzzles:
        raise TrmsolveError("no puzzle to measure", "name a file that trmsolve can solve")
    return puzzles


def _fitting(model: Model, puzzles: list[Puzzle]) -> list[Puzzle]:
    """The puzzles that the model supports. Raises TrmsolveError when it supports none of them."""
    from trmsolve.inference.evaluate import unsupported_reasons

    reasons = unsupported_reasons(model.checkpoint.name, model.task, puzzles)
    fitting = [puzzle for puzzle, reason in zip(puzzles, reasons, strict=True) if not reason]
    if len(fitting) < len(puzzles):
        echo_err(f"{len(puzzles) - len(fitting)} of {len(puzzles)} puzzles skipped: {next(filter(None, reasons))}")
    return fitting


def _inference(
    model: Model,
    puzzles: list[Puzzle],
    quick: SolveOptions,
    repeat: int,
    device: str,
    dtype: str,
    show: Callable[[str], None],
) -> dict[str, Any]:
    from trmsolve.api import load
    from trmsolve.benchmark import inference

    default = SolveOptions(batch_size=quick.batch_size)
    path, task = str(model.checkpoint.path), model.task.name
    published = {f"published, {str(model.device_spec.dtype).removeprefix('torch.')}": model.solver}
    if "published, float32" not in published:
        published["published, float32"] = load(path, task=get(task), device=device, dtype="float32").solver
    command = [
        "solve",
        "--task",
        origin(task),
        "-",
        "--checkpoint",
        path,
        "--device",
        device,
        "--dtype",
        dtype,
        "--quiet",
    ]
    cold = inference.cold_starts(command, model.task.format_grid(puzzles[0].question, "grid", True), repeat, show)
    show("one puzzle")
    steps = inference.fixed_steps_latency(model.solver, puzzles, repeat)
    one = cold | {"warm": inference.latency(model.solver, puzzles, default, repeat)}
    one |= {} if steps is None else {"sixteen_steps": steps}
    settings = {"quick": quick, "default settings": default}
    streams, ratios = inference.compare_streams(model.solver, settings, published, puzzles, repeat, show)
    return {
        "settings": {name: getattr(quick, name) for name in QUICK},
        "one_puzzle_seconds": {name: figure.to_dict() for name, figure in one.items()},
        "streams": [stream.to_dict() for stream in streams],
        "ratios": [ratio.to_dict() for ratio in ratios],
    }


def _busy(
    model: Model,
    puzzles: list[Puzzle],
    what: What,
    files: list[str] | None,
    steps: int,
    repeat: int,
    show: Callable[[str], None],
) -> dict[str, Any]:
    from trmsolve.benchmark.measure import measure_busy, solving_rate, training_rate

    task, path = model.task, str(model.checkpoint.path)
    rates: dict[str, Callable[[], float]] = {}
    if what != What.training:
        texts = [task.format_grid(puzzle.question, "grid", True) for puzzle in puzzles]
        rates["solving, supervision steps/s"] = lambda: solving_rate(origin(task.name), path, texts)
    if what != What.inference:
        rates["training, optimizer steps/s"] = lambda: training_rate(origin(task.name), path, files or [], steps)
    return measure_busy(rates, repeat, show)


def _training(
    model: Model,
    files: list[str] | None,
    steps: int,
    repeat: int,
    compile: bool | None,
    show: Callable[[str], None],
) -> dict[str, Any]:
    from trmsolve.api import load
    from trmsolve.benchmark.training import TrainingSetup, compare_training
    from trmsolve.training import recipe as recipes
    from trmsolve.training.compile import compile_pays

    task, device = model.task.name, model.device_spec.device
    values = recipes.over(recipes.further(task, model.config), {"data": {"sources": files or None}})
    chosen = recipes.build(values)
    weights = load(str(model.checkpoint.path), task=get(task), device="cpu", dtype="float32").network.state_dict()
    compile = compile_pays(None, device) if compile is None else compile
    setup = TrainingSetup(chosen, weights, device, model.device_spec.dtype, compile)
    measurements, times = compare_training(setup, steps, repeat, show)
    return {
        "compiled": compile,
        "steps": steps,
        "data": files or ["generated"],
        "ways": [measurement.to_dict() for measurement in measurements],
        "ratio": times.to_dict(),
    }
