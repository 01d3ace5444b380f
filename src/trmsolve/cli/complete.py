"""Values that the shell completes: tasks, formats, kinds of mazes, recipes, checkpoints. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from typer import Context

from trmsolve.errors import TrmsolveError

JSON_STYLES = ("json", "jsonl")
STYLES = ("grid", "line", "csv", *JSON_STYLES)
GENERATED = ("sudoku", "maze")  # bundled tasks that have a generator


def _among(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """A function from what was typed so far to the names that start with it."""
    return lambda incomplete: sorted({name for name in names() if name.startswith(incomplete)})


def styles(ctx: Context, incomplete: str) -> list[str]:
    """Values of --format; those of the command's task, where it is one."""
    from trmsolve.tasks import get

    try:
        names = (*get(ctx.info_name or "").styles, *JSON_STYLES)
    except TrmsolveError:  # generate, solve
        names = STYLES
    return _among(lambda: names)(incomplete)


def _tasks() -> Iterable[str]:
    from trmsolve.tasks import names

    return names()


def _kinds() -> Iterable[str]:
    from trmsolve.tasks.maze.generate import KINDS

    return KINDS


def _recipes() -> Iterable[str]:
    from importlib.resources import files

    return (file.name.removesuffix(".yaml") for file in (files("trmsolve.training") / "recipes").iterdir())


def _checkpoints() -> Iterable[str]:
    from trmsolve.checkpoint import available

    return (listing.name for listing in available())


def _published() -> Iterable[str]:
    from trmsolve.checkpoint.lookup import known

    return (entry.name for entry in known())


tasks, kinds, recipes = _among(_tasks), _among(_kinds), _among(_recipes)
checkpoints, published = _among(_checkpoints), _among(_published)  # bundled and cached; those on the hub
generators = _among(lambda: GENERATED)
devices = _among(lambda: ("auto", "cpu", "cuda", "mps"))
mixers = _among(lambda: ("attention", "grid", "mlp", "relational"))
dtypes = _among(lambda: ("auto", "float32", "bfloat16"))
