"""trmsolve explain [TASK]: a guided tour of a Tiny Recursive Model, with the tensors of a real puzzle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.text import Text

from trmsolve.cli import options as o
from trmsolve.cli.explain_arc import arc_pages
from trmsolve.cli.explain_page import Page, drawing, side_by_side, two_columns
from trmsolve.cli.run import command
from trmsolve.inference.options import Result
from trmsolve.render.caption import percent
from trmsolve.render.console import console_for, glyphs_for, is_terminal
from trmsolve.tasks.base import Augments, Line, Prediction, Puzzle, Task

if TYPE_CHECKING:
    from torch import Tensor

    from trmsolve.api import Model
    from trmsolve.model.config import TRMConfig

WIDTH = 78  # columns of the text
BAR = 20  # most columns of a bar for a probability
MAX_STEPS = 12  # supervision steps that the tour shows at most
MAX_RUNS = 8  # of a search that it shows at most

SUDOKU = "..5..1..2..4..29.53..8....6.......2...64.9....1...8.9....213...57.......63......."
HARDER = ".......39.....1..5..3.5.8....8.9...6.7...2...1..4.......9.8..5..2....6..4..7....."  # Golden Nugget
MAZE = """\
#####################
#S    #   #         #
##### # # # ####### #
#   # # # # #     # #
# # # # # # # ### # #
# # # # # # # #G# # #
# # # # # # # # # # #
# # #   # # #   # # #
# # ##### # ##### # #
# #               # #
#####################"""
TOKENS = {
    "sudoku": "one candidate: a digit in an open cell that no given rules out. It exchanges messages with the other "
    "candidates of its cell, row, column and box",
    "maze": "one cell that is no wall. It exchanges messages with the four cells beside it",
}


class Topic(str, Enum):
    """What the tour is about."""

    sudoku = "sudoku"
    maze = "maze"
    arc = "arc"


@dataclass(frozen=True)
class ExplainArgs:
    """Options of trmsolve explain."""

    topic: Topic = o.argument(Topic.sudoku, "TASK", "sudoku, maze or arc.")
    wait: bool = o.option(True, None, "On a terminal, wait for Enter after a page.")
    steps: int = o.option(40, None, "arc: optimizer steps of test-time training.", min=1)
    color: o.Color = o.COLOR()


@command(ExplainArgs)
def explain(args: ExplainArgs) -> None:
    """Show how a Tiny Recursive Model works: x, y and z, the loops n and T, halting and restarts.

    The puzzle is solved while you read; every number is computed by the bundled network.

    Exit code: 0.
    """
    from trmsolve.api import load

    console = console_for(sys.stdout, args.color.value)
    console.width = min(console.width, WIDTH)
    topic = args.topic.value
    model = load(task=topic)
    pages = arc_pages(model, console, args.steps) if topic == "arc" else _puzzle_pages(model, console, topic)
    waits = args.wait and is_terminal(sys.stdin) and is_terminal(sys.stdout)
    for number, page in enumerate(pages, 1):
        for line in page.lines(number, console.width):
            console.print(line, soft_wrap=True)
        console.print()
        if waits:
            console.print(Text("Enter continues, q ends ", "dim"), end="")
            if sys.stdin.readline().strip().lower() in ("q", "quit"):
                break
            console.print()


# -- Sudoku and mazes: the recursion ------------------------------------------------------------------------------
def _puzzle_pages(model: Model, console: Console, name: str) -> Iterator[Page]:
    """The pages about a network that solves puzzles."""
    from trmsolve.model.trm import num_parameters

    task, config = model.task, model.config
    question = _question(task, SUDOKU if name == "sudoku" else MAZE)
    yield Page(
        f"A puzzle, and a network of {num_parameters(model.network):,} parameters",
        drawing(task, console, question),
        f"The network has {config.num_layers} layers. A large language model has a million times as many parameters. "
        "What makes up for it is recursion: the same small network runs again and again, each time on its own last "
        "answer.",
    )
    yield from _latent_recursion(model, console, question)
    yield _supervision_step(config)
    yield from _halting(model, console, question)
    yield from (_branches(model, console) if name == "sudoku" else _augmented(model, console, question))
    yield Page(
        "Where to go from here",
        two_columns(
            console,
            [
                (f"trmsolve {name} FILE --show-steps", "watch it; space pauses, ? helps"),
                (f"trmsolve {name} FILE --restarts 0", "the network alone, without search"),
                (f"trmsolve train --task {name} --minutes 30", "train a network of your own"),
                ("docs/how-it-works.md", "all of this in more detail"),
                ("arXiv 2510.04871", "the paper"),
            ],
        ),
    )


def _latent_recursion(model: Model, console: Console, question: np.ndarray) -> Iterator[Page]:
    """The tensors x, y and z of a puzzle, and what one latent recursion does to them."""
    import torch

    from trmsolve.model.packing import pack

    task, network, n = model.task, model.network, model.config.n
    encoded = task.encode(question)
    assert encoded is not None
    smallest, largest = encoded.size.min(), encoded.size.max()
    options = f"{smallest} to {largest}" if smallest < largest else largest
    device, dtype = model.device_spec.device, model.device_spec.dtype
    tokens, batch = pack([encoded])
    tokens, batch = tokens.to(device), batch.to(device)
    with torch.inference_mode():
        x = network.embed(tokens, batch, None).to(dtype)
        y, z = network.init_state(len(tokens), dtype)
        yield Page(
            "Three tensors: x the question, y the answer, z the latent state",
            f"The puzzle becomes {len(tokens)} tokens. A token is {TOKENS[task.name]}. Each token has three vectors of "
            f"{model.config.hidden_size} numbers (the hidden size D):",
            two_columns(
                console,
                [
                    (_shape("x", x), "the question; never changes"),
                    (_shape("y", y), "the answer so far"),
                    (_shape("z", z), "intermediate results, never read out"),
                ],
            ),
            "y and z start with the same values for all tokens.",
            f"The answer is read from y: {encoded.num_choices} choices, each among {options} options.",
        )
        rows = []
        for k in range(1, n + 1):
            before, z = z, network.latent_recursion(x, y, z, batch, 1)
            rows.append(("z <- f(x + y + z)", f"update {k} of {n}: z changes by {_change(before, z)}"))
        before, y = y, network.update_y(y, z, batch)
        rows.append(("y <- f(y + z)", f"then once:   y changes by {_change(before, y)}"))
        yield Page(
            f"The inner loop: n = {n} updates of z, then one of y",
            "f is the network. First it updates z from the question, the answer so far, and z itself. Then it updates "
            "y from z. These are the numbers of this puzzle (mean absolute change):",
            two_columns(console, rows),
            "This is one latent recursion. The same f updates z and y. It can tell which by its input: x is part of "
            "the sum only when z is updated.",
        )


def _supervision_step(config: TRMConfig) -> Page:
    """How often the network runs in a supervision step, and in training."""
    T, n, layers = config.T, config.n, config.num_layers
    calls = T * (n + 1)
    return Page(
        f"The outer loop: T = {T}, a supervision step",
        f"A supervision step consists of T = {T} latent recursion{'s' if T > 1 else ''}. So f runs T (n + 1) = "
        f"{calls} times in a step, which makes it {calls * layers} layers deep. In training only the last "
        "recursion has a gradient, and every supervision step has a loss of its own. So each step learns to improve "
        "the answer that it is given.",
        f"In training a puzzle has at most N_sup = {config.N_sup} supervision steps. That is a depth of "
        f"{config.N_sup} x {calls * layers} = {config.N_sup * calls * layers:,} layers, with the weights of {layers}.",
    )


def _halting(model: Model, console: Console, question: np.ndarray) -> Iterator[Page]:
    """Supervision steps until the answer is right: what changes, and how sure the halting head is."""
    task, glyphs = model.task, glyphs_for(console)
    rows = [Text("  step  changed  broken  halting", "bold")]
    bar_width = min(BAR, console.width - 30)
    previous: Prediction | None = None
    drawings = []
    for event in model.watch(Puzzle(question), restarts=0, max_steps=MAX_STEPS):
        if isinstance(event, Result):
            continue
        answer = event.prediction.answer
        changed = "" if previous is None else str(int((answer != previous.answer).sum()))
        broken = len(task.check(question, answer))
        full = round(event.halt_prob * bar_width)
        bar = glyphs.full * full + glyphs.empty * (bar_width - full)
        rows.append(Text(f"  {event.step:4}  {changed:>7}  {broken:>6}  {bar} {percent(event.halt_prob)}"))
        drawings.append(drawing(task, console, question, event.prediction, previous))
        previous = event.prediction
    yield Page(
        "Halting: when to stop",
        "After each step a head reads y and predicts whether the whole answer is right. A run may stop as soon as "
        "it is sure, so easy puzzles cost less. trmsolve does not trust it alone: where rules can check an answer, "
        "they decide. The columns are cells changed, rules broken, and the halting probability:",
        rows,
    )
    yield Page(
        "The answer after the first step, and after the last",
        side_by_side(console, [drawings[0], drawings[-1]]),
        "The first answer is a guess, cell by cell. Each further step sees the whole answer so far and corrects it.",
    )


def _branches(model: Model, console: Console) -> Iterator[Page]:
    """A Sudoku that the plain recursion of most networks does not solve: the runs of the search."""
    question = _question(model.task, HARDER)
    runs: dict[str, tuple[int, float, int]] = {}  # description -> steps, last halting probability, last broken rules
    result = None
    for event in model.watch(Puzzle(question)):
        if isinstance(event, Result):
            result = event
        else:
            broken = len(model.task.check(question, event.prediction.answer))
            runs[event.description] = runs.get(event.description, (0,))[0] + 1, event.halt_prob, broken
    assert result is not None
    rows = [Text("  steps  halting  broken  assuming", "bold")]
    skipped = range(MAX_RUNS // 2, len(runs) - MAX_RUNS // 2)
    for number, (description, (steps, halt_prob, broken)) in enumerate(runs.items()):
        if number in skipped:
            rows += [Text(f"  ({len(skipped)} more runs)")] if number == skipped[0] else []
            continue
        assumed = _shortened(description.removeprefix("assuming ") or "nothing", console.width - 26)
        rows.append(Text(f"  {steps:5}  {percent(halt_prob):>7}  {broken:6}  {assumed}"))
    yield Page(
        "Restarts: when the network stays unsure",
        "This Sudoku is known to be hard. "
        + ("The plain recursion does not solve it:" if len(runs) > 1 else "But the plain recursion solves it:"),
        rows,
        "Where the plain recursion fails, the solver branches. It takes a cell in which two digits are about equally "
        "likely, assumes each in turn, and runs the network on the puzzle with that digit given. A branch starts from "
        "the state y, z of its parent. The network's own probabilities decide which branch comes next. The rules only "
        "reject.",
        f"Result: {result.summary} ({result.seconds:.1f} s). Two branches run at a time; the table shows one of them. "
        "`--restarts 0` turns the search off.",
    )


def _shortened(description: str, width: int) -> str:
    """The assumptions of a run, the latest ones where not all fit."""
    words = description.split()
    shown = " ".join(words)
    while len(shown) > width and len(words) > 1:
        words = words[1:]
        shown = " ".join(("...", *words))
    return shown


def _augmented(model: Model, console: Console, question: np.ndarray) -> Iterator[Page]:
    """A maze under a symmetry, as a restart solves it."""
    task = model.task
    assert isinstance(task, Augments)
    turned = task.augment(question, 1)
    result = model.solve_one(Puzzle(turned), restarts=0)
    yield Page(
        "Restarts: another view of the same maze",
        f"If a run does not end well, the solver tries the maze again under a symmetry that the network does not "
        f"have: {task.augmentation_name(1)}, reflected, start and goal exchanged; up to "
        f"{task.num_augmentations - 1} times. To the network this is a new puzzle, so it makes other mistakes.",
        drawing(task, console, turned, result.prediction),
        f"Here: {result.summary}. Breadth-first search checks that no path is shorter. It never supplies one.",
    )


def _question(task: Task, text: str) -> np.ndarray:
    lines = [Line(number, line) for number, line in enumerate(text.splitlines(), 1)]
    puzzle = next(task.read(lines, "explain"))
    assert isinstance(puzzle, Puzzle)
    return puzzle.question


def _shape(name: str, tensor: Tensor) -> str:
    first = " ".join(f"{value:5.2f}" for value in tensor[0, :3].float().tolist())
    return f"{name}  {' x '.join(map(str, tensor.shape))}  [{first} ...]"


def _change(before: Tensor, after: Tensor) -> str:
    return f"{(after - before).abs().float().mean().item():.3f}"
