"""What the Python API is called with: wrong types and unknown settings become errors that say what is right."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar, get_args, get_type_hints

from trmsolve.errors import TrmsolveError, did_you_mean

Options = TypeVar("Options")


def options_with(kind: type[Options], options: Options | None, settings: Mapping[str, Any]) -> Options:
    """`options`, by default the defaults of `kind`, with some fields replaced; raises TrmsolveError."""
    if options is None:
        options = kind()
    elif not isinstance(options, kind):
        raise TrmsolveError(f"options: expected {kind.__name__}, found {describe(options)}")
    hints, names = get_type_hints(kind), [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name, value in settings.items():
        if name not in names:
            raise TrmsolveError(f"unknown setting '{name}'", did_you_mean(name, names))
        if not _fits(value, hints[name]):
            raise TrmsolveError(f"{name}: expected {_name(hints[name])}, found {describe(value)}")
    return replace(options, **settings)  # type: ignore[type-var]


def require(name: str, value: Any, expected: tuple[type, ...], words: str) -> None:
    """Raise TrmsolveError unless an argument has one of these types. words: them in words."""
    if not isinstance(value, expected):
        raise TrmsolveError(f"{name}: expected {words}, found {describe(value)}")


def require_iterable(name: str, value: Any, words: str) -> None:
    """Raise TrmsolveError unless an argument can be iterated. words: what it may be."""
    if not isinstance(value, Iterable):
        raise TrmsolveError(f"{name}: expected {words}, found {describe(value)}")


def describe(value: object) -> str:
    """A value and its type, shortened."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type(value).__name__})"


def _fits(value: Any, hint: Any) -> bool:
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, bool):
        return bool in kinds
    allowed = tuple({int: Integral, float: Real}.get(kind, kind) for kind in kinds)
    return isinstance(value, allowed)


def _name(hint: Any) -> str:
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return " or ".join("None" if kind is types.NoneType else kind.__name__ for kind in kinds)
