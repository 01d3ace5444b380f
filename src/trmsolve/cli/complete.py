"""Values that the shell completes: tasks, formats, kinds of mazes, recipes, checkpoints. Nothing here imports torch."""

from __future__ import annotations

from typer import Context

from trmsolve.cli.output import JSON_STYLES
from trmsolve.errors import TrmsolveError

STYLES = ("grid", "line", "csv", *JSON_STYLES)


def tasks(incomplete: str) -> list[str]:
    """Names of tasks."""
    from trmsolve.tasks import names

    return _starting(names(), incomplete)


def generators(incomplete: str) -> list[str]:
    """Names of tasks that `trmsolve generate` makes puzzles of."""
    from trmsolve.cli.generate import GENERATED

    return _starting(GENERATED, incomplete)


def styles(ctx: Context, incomplete: str) -> list[str]:
    """Values of --format; those of the command's task, where it is one."""
    from trmsolve.tasks import get

    try:
        names = (*get(ctx.info_name or "").styles, *JSON_STYLES)
    except TrmsolveError:  # generate, solve
        names = STYLES
    return _starting(names, incomplete)


def kinds(incomplete: str) -> list[str]:
    """Kinds of mazes."""
    from trmsolve.tasks.maze.generate import KINDS

    return _starting(KINDS, incomplete)


def recipes(incomplete: str) -> list[str]:
    """Names of the recipes."""
    from importlib.resources import files

    folder = files("trmsolve.training") / "recipes"
    return _starting([file.name.removesuffix(".yaml") for file in folder.iterdir()], incomplete)


def checkpoints(incomplete: str) -> list[str]:
    """Names of bundled and cached checkpoints."""
    from trmsolve.checkpoint import available

    return _starting([listing.name for listing in available()], incomplete)


def published(incomplete: str) -> list[str]:
    """Names of published checkpoints."""
    from trmsolve.checkpoint.lookup import known

    return _starting([entry.name for entry in known()], incomplete)


def devices(incomplete: str) -> list[str]:
    """Devices."""
    return _starting(("auto", "cpu", "cuda", "mps"), incomplete)


def dtypes(incomplete: str) -> list[str]:
    """Number formats of weights."""
    return _starting(("auto", "float32", "bfloat16"), incomplete)


def _starting(names: object, incomplete: str) -> list[str]:
    return sorted(name for name in dict.fromkeys(names) if name.startswith(incomplete))  # type: ignore[call-overload]
