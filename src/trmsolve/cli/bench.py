"""trmsolve bench"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.inputs import records, task_for
from trmsolve.cli.options import MEASUREMENT, QUICK, option
from trmsolve.cli.output import aligned, put, status_line
from trmsolve.cli.run import command, echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.inference.options import SolveOptions
from trmsolve.tasks import get, origin
from trmsolve.tasks.base import Generates, Puzzle
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask

if TYPE_CHECKING:
    from trmsolve.api import Model

SEED = 0  # of the puzzles that are generated where no file is named
QUICK_SETTINGS = ("max_steps", "restarts", "confidence_floor", "restart_confidence")
ONE_PUZZLE = {
    "cold_start": "cold start (a new process)",
    "import_torch": "a process that only imports torch",
    "warm": "warm, default settings",
    "sixteen_steps": "16 supervision steps",
}

Show = Callable[[str], None]  # what is being measured, "" for nothing


class What(str, Enum):
    """What to measure."""

    inference = "inference"
    training = "training"
    all = "all"


@dataclass(frozen=True)
class BenchArgs:
    """Options of trmsolve bench."""

    files: list[str] | None = o.argument(None, "FILE", "Puzzles; training needs answers. Default: generated puzzles.")
    task: str = option(
        "sudoku",
        o.MODEL,
        "Measure this task: sudoku, maze, arc, or a Python file that defines one.",
        complete=complete.tasks,
    )
    checkpoint: str | None = o.CHECKPOINT()
    device: str = o.DEVICE()
    dtype: str = o.DTYPE()
    what: What = option(What.inference, MEASUREMENT, "Measure solving, training, or both.")
    number: int = option(64, MEASUREMENT, "Maximum number of puzzles.", "-n", "--number", min=1)
    repeat: int = option(3, MEASUREMENT, "Repeat every measurement N times, in turns.", min=1)
    steps: int = option(20, MEASUREMENT, "Optimizer steps per training measurement.", min=1)
    busy: bool = option(
        False, MEASUREMENT, "Measure the speed next to a busy process, instead of the comparison.", "--busy"
    )
    compile: bool | None = option(None, MEASUREMENT, "Compile our training.", show_default="as trmsolve train decides")
    max_steps: int = option(32, QUICK, "Maximum steps of the first run.", min=1)
    restarts: int = option(0, QUICK, "Maximum restarts per puzzle.", min=0)
    confidence_floor: float = option(
        0.35,
        QUICK,
        "End the first run when its mean confidence is below this.",
        "--confidence-floor",
        "--give-up",
        min=0,
        max=1,
    )
    restart_confidence: float = option(
        0.0,
        QUICK,
        "Do not restart a puzzle whose run ended below this mean confidence.",
        "--restart-confidence",
        "--promise",
        min=0,
        max=1,
    )
    batch_size: int | None = o.BATCH_SIZE()
    as_json: bool = o.AS_JSON()
    quiet: bool = o.QUIET()


@command(BenchArgs)
def bench(args: BenchArgs) -> None:
    """Measure the speed of solving and training, in turns with a baseline on the same weights.

    Solving: the baseline is the published procedure, 16 steps for every puzzle in one large eager batch. It is compared
    with the default settings, and with quick settings of about the same accuracy: a single pass that stops when the
    rules accept the answer, and gives up on puzzles with low confidence.

    Training: the baseline is eager, with AdamW, one optimizer step per supervision step. It is compared with the
    procedure of trmsolve train.

    ARC: one task, that of FILE or a generated one of 15x15 cells. Optimizer steps of test-time training are compared
    with those of version 0.1, which used the formulas of autograd.

    Each figure is the median of --repeat measurements, with the smallest and the largest.
    """
    task = task_for(args.task, args.checkpoint)
    few_shot = isinstance(task, Demonstrates)
    puzzles = _puzzles(task, args) if not few_shot and (args.what != What.training or args.files) else []

    import torch

    from trmsolve import __version__
    from trmsolve.api import load
    from trmsolve.benchmark.measure import Statistic, matmul_rate
    from trmsolve.training.run_dir import hardware

    model = load(args.checkpoint, task=task, device=args.device, dtype=args.dtype)
    puzzles = puzzles if few_shot else _fitting(model, puzzles)
    device, dtype = model.device_spec.device, model.device_spec.dtype
    with status_line(not args.quiet) as show:
        show("matrix multiply")
        report: dict[str, Any] = {
            "task": task.name,
            "puzzles": len(puzzles),
            "files": args.files or [],
            "checkpoint": model.checkpoint.name,
            "checkpoint_sha256": model.checkpoint.sha256,
            "device": str(device),
            "dtype": str(dtype).removeprefix("torch."),
            "hardware": hardware(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "trmsolve": __version__,
            "repeat": args.repeat,
            "matmul_flops_per_second": Statistic.of([matmul_rate(device, dtype) for _ in range(args.repeat)]).to_dict(),
        }
        if args.busy:
            report["busy"] = _busy(model, puzzles, args, show)
        elif few_shot:
            report["test_time_training"] = _test_time_training(model, args, show)
        elif args.what != What.training:
            report["inference"] = _inference(model, puzzles, args, show)
        if args.what != What.inference and not args.busy and not few_shot:
            report["training"] = _training(model, args, show)
    put(json.dumps(report, indent=2) if args.as_json else text(report))


def _puzzles(task: Any, args: BenchArgs) -> list[Puzzle]:
    """The first puzzles of the files, or of the generator with a fixed seed."""
    if not args.files and not isinstance(task, Generates):
        raise TrmsolveError(f"{task.name} has no generator", "name a file of puzzles")
    if not args.files:
        return [Puzzle(task.generate(SEED, index)[0]) for index in range(args.number)]
    from trmsolve.inference.evaluate import split_records

    puzzles, bad = split_records(records(task, args.files, args.number))
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


def _inference(model: Model, puzzles: list[Puzzle], args: BenchArgs, show: Show) -> dict[str, Any]:
    from trmsolve.api import load
    from trmsolve.benchmark import inference

    quick = SolveOptions(batch_size=args.batch_size, **{name: getattr(args, name) for name in QUICK_SETTINGS})
    default = SolveOptions(batch_size=args.batch_size)
    path, task = str(model.checkpoint.path), model.task.name
    published = {f"published, {str(model.device_spec.dtype).removeprefix('torch.')}": model.solver}
    if "published, float32" not in published:
        published["published, float32"] = load(path, task=get(task), device=args.device, dtype="float32").solver
    options = {"--task": origin(task), "--checkpoint": path, "--device": args.device, "--dtype": args.dtype}
    command = ["solve", "-", "--quiet", *(part for pair in options.items() for part in pair)]
    cold = inference.cold_starts(command, model.task.format_grid(puzzles[0].question, "grid", True), args.repeat, show)
    show("one puzzle")
    steps = inference.fixed_steps_latency(model.solver, puzzles, args.repeat)
    one = cold | {"warm": inference.latency(model.solver, puzzles, default, args.repeat)}
    one |= {} if steps is None else {"sixteen_steps": steps}
    settings = {"quick": quick, "default settings": default}
    streams = inference.compare_streams(model.solver, settings, published, puzzles, args.repeat, show)
    return {
        "settings": {name: getattr(quick, name) for name in QUICK_SETTINGS},
        "one_puzzle_seconds": {name: statistic.to_dict() for name, statistic in one.items()},
        **streams,
    }


def _busy(model: Model, puzzles: list[Puzzle], args: BenchArgs, show: Show) -> dict[str, Any]:
    from trmsolve.benchmark.measure import adaptation_rate, measure_busy, solving_rate, training_rate

    task, path, files = model.task, str(model.checkpoint.path), args.files or []
    rates: dict[str, Callable[[], float]] = {}
    if isinstance(task, Demonstrates):
        adapt = partial(adaptation_rate, origin(task.name), path, _few_shot_task(model, args), args.steps)
        rates["test-time training, optimizer steps/s"] = adapt
        return measure_busy(rates, args.repeat, show)
    if args.what != What.training:
        texts = [task.format_grid(puzzle.question, "grid", True) for puzzle in puzzles]
        rates["solving, supervision steps/s"] = lambda: solving_rate(origin(task.name), path, texts)
    if args.what != What.inference:
        rates["training, optimizer steps/s"] = lambda: training_rate(origin(task.name), path, files, args.steps)
    return measure_busy(rates, args.repeat, show)


def _test_time_training(model: Model, args: BenchArgs, show: Show) -> dict[str, Any]:
    from trmsolve.benchmark.test_time_training import compare_test_time_training

    return compare_test_time_training(model, _few_shot_task(model, args), args.steps, args.repeat, show)


def _few_shot_task(model: Model, args: BenchArgs) -> FewShotTask:
    """The first task of the files, or a generated one."""
    from trmsolve.benchmark.test_time_training import mirror_task

    if not args.files:
        return mirror_task()
    for record in records(model.task, args.files, None):
        if isinstance(record, FewShotTask):
            return record
    raise TrmsolveError(f"{', '.join(args.files)}: no task found", "name a JSON file of tasks")


def _training(model: Model, args: BenchArgs, show: Show) -> dict[str, Any]:
    from trmsolve.api import load
    from trmsolve.benchmark.training import TrainingSetup, compare_training
    from trmsolve.training import recipe as recipes
    from trmsolve.training.compile import compile_pays

    task, device = model.task.name, model.device_spec.device
    values = recipes.over(recipes.further(task, model.config), {"data": {"sources": args.files}})
    weights = load(str(model.checkpoint.path), task=get(task), device="cpu", dtype="float32").network.state_dict()
    compile = compile_pays(None, device) if args.compile is None else args.compile
    setup = TrainingSetup(recipes.build(values), weights, device, model.device_spec.dtype, compile)
    return {
        "compiled": compile,
        "steps": args.steps,
        "data": args.files or ["generated"],
        **compare_training(setup, args.steps, args.repeat, show),
    }


# -- the report as text -------------------------------------------------------------------------------------------
def text(report: Mapping[str, Any]) -> str:
    """The report as tables."""
    peak = report["matmul_flops_per_second"]["median"]
    lines = [
        f"{report['task']}, checkpoint {report['checkpoint']} ({report['checkpoint_sha256'][:12]}), "
        f"{report['device']} {report['dtype']}, {report['hardware']}, torch {report['torch']}",
        f"median (smallest to largest) of {report['repeat']}, in turns; "
        f"matrix multiply: {figure(report['matmul_flops_per_second'], 1e-9)} GFLOP/s",
    ]
    if "inference" in report:
        lines += ["", *_inference_text(report["inference"], report["puzzles"], peak)]
    if "training" in report:
        lines += ["", *_training_text(report["training"], peak)]
    if "test_time_training" in report:
        lines += ["", *_test_time_training_text(report["test_time_training"])]
    if "busy" in report:
        lines += ["", *_busy_text(report["busy"])]
    return "\n".join(lines)


def _test_time_training_text(measured: Mapping[str, Any]) -> list[str]:
    rows = [[name, figure(way["steps_per_second"]), str(way["tokens"])] for name, way in measured["ways"].items()]
    ratio = f"ratio of optimizer steps/s: {figure(measured['ratio'])}"
    title = f"test-time training on {measured['task']}, {measured['steps']} steps a measurement"
    return [title, *aligned([["", "optimizer steps/s", "tokens a step"], *rows]), ratio]


def _busy_text(measured: Mapping[str, Any]) -> list[str]:
    rows = [
        [name, *(figure(entry[key]) for key in ("quiet", "busy", "busy_share"))] for name, entry in measured.items()
    ]
    return aligned([["", "alone", "beside a busy process", "share"], *rows])


def _inference_text(measured: Mapping[str, Any], puzzles: int, peak: float) -> list[str]:
    one = [[ONE_PUZZLE[name], figure(entry)] for name, entry in measured["one_puzzle_seconds"].items()]
    rows = [
        [
            entry["name"],
            f"{100 * entry['accuracy']:.1f} %",
            figure(entry["puzzles_per_second"]),
            number_text(entry["mean_steps"]),
            *_rate(entry["flops_per_second"], peak),
        ]
        for entry in measured["streams"]
    ]
    ratios = [
        [
            f"{entry['ours']} / {entry['published']}",
            figure(entry["times"])
            + ("" if entry["accuracy_equal_or_better"] else "  but less accurate: no comparison"),
        ]
        for entry in measured["ratios"]
    ]
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in measured["settings"].items())
    return [
        *aligned([["one puzzle", "seconds"], *one]),
        "",
        *aligned([[f"{puzzles} puzzles", "right", "puzzles/s", "steps", "GFLOP/s", "of peak"], *rows]),
        f"quick: {settings}",
        "",
        *aligned([["puzzles/s, ours / published", "times"], *ratios]),
    ]


def _training_text(measured: Mapping[str, Any], peak: float) -> list[str]:
    rows = [
        [
            f"{entry['name']}, batch {entry['batch']}, window {entry['window']}",
            figure(entry["optimizer_steps_per_second"]),
            figure(entry["supervision_steps_per_second"]),
            *_rate(entry["flops_per_second"], peak),
        ]
        for entry in measured["ways"]
    ]
    rows.append(["times", figure(measured["ratio"]), "", "", ""])
    how = "compiled" if measured["compiled"] else "not compiled"
    return aligned([[f"training, ours {how}", "optimizer steps/s", "supervision steps/s", "GFLOP/s", "of peak"], *rows])


def _rate(entry: Mapping[str, float] | None, peak: float) -> list[str]:
    return ["", ""] if entry is None else [figure(entry, 1e-9), f"{100 * entry['median'] / peak:.0f} %"]


def figure(entry: Mapping[str, float], times: float = 1.0) -> str:
    """median (smallest to largest)"""
    low, median, high = (number_text(times * entry[key]) for key in ("low", "median", "high"))
    return median if entry["n"] == 1 else f"{median} ({low} to {high})"


def number_text(value: float) -> str:
    """At least three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
