"""A recipe: all that a run is, beside the place it is kept at, as one readable file.

task: sudoku
model: {...}   fields of TRMConfig (model/config.py); with `cells`, arguments of a published network
(model/sequence_model.py)
train: {...}   fields of TrainConfig (training/config.py)
data:  {sources: [...], ...}   what --data takes, and what the task mixes in
base: NAME     another recipe, of which this one says only what differs; null takes something out

The published ones and their fast variants lie in recipes/; that of a bundled checkpoint is the task's own (of_task).
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official
from trmsolve.tasks import get
from trmsolve.tasks.base import Option, Task, TrainingData, Trains
from trmsolve.text_io import printable
from trmsolve.training.config import TrainConfig

BUNDLED = Path(__file__).parent / "recipes"
SECTIONS = ("model", "train", "data")
# Of a recipe, far beyond what one needs: characters in all, nested lists, characters of a value.
SIZE_LIMIT, DEPTH_LIMIT, VALUE_LIMIT = 1 << 16, 16, 2048
LARGEST = 1 << 63  # whole number: beyond it arithmetic in fp64 raises OverflowError
SHOWN = 80  # characters of a wrong value in a message
_PUBLISHED = tuple(name for name, p in inspect.signature(official).parameters.items() if p.kind is not p.VAR_KEYWORD)

Values = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """What to train, how, and on what. `model` as in the file."""

    task: str
    model: Mapping[str, Any]
    train: TrainConfig
    sources: tuple[str, ...]
    data_options: Mapping[str, Any]

    @cached_property
    def config(self) -> TRMConfig:
        """The model's dimensions."""
        return official(**self.model) if "cells" in self.model else TRMConfig.from_dict(dict(self.model))

    def config_for(self, data: TrainingData) -> TRMConfig:
        """The model's dimensions, with a row of the puzzle table for every task where the data have several tasks."""
        num_rows = getattr(data, "num_rows", None)
        return self.config if num_rows is None else dataclasses.replace(self.config, num_puzzles=num_rows)

    @cached_property
    def task_for_model(self) -> Task:
        """The task in the form that this model takes."""
        return get(self.task).for_data(self.sources, self.config.mixer).for_model(self.config)

    def data(self) -> TrainingData:
        """The training data. Raises TrmsolveError for options that the task does not have, and for unusable files."""
        task = trainable(self.task_for_model)
        options = {option.name: option for option in task.data_options}
        values = {}
        for name, value in self.data_options.items():
            if name not in options:
                raise TrmsolveError(
                    f"data.{name}: not for {self.task} with this model", did_you_mean(name, list(options))
                )
            values[name] = _option_value(options[name], value)
        return task.training_data(self.sources, self.train.seed, **values)

    def text(self) -> str:
        """As YAML, every setting spelt out; reading it gives the same recipe."""
        train = dataclasses.asdict(self.train) | {
            "depth_curriculum": [list(depth) for depth in self.train.depth_curriculum]
        }
        data = {"sources": list(self.sources), **self.data_options}
        values = {"task": self.task, "model": dict(self.model), "train": train, "data": data}
        return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110)


def names() -> list[str]:
    """Of the recipes that come with trmsolve."""
    return sorted(path.stem for path in BUNDLED.glob("*.yaml"))


def read(spec: str) -> Values:
    """The settings of a recipe by name or file, with those of its bases. Raises TrmsolveError when there is none."""
    seen: list[Path] = []
    path: Path | None = _find(spec, None)
    layers: list[Values] = []
    while path is not None:
        if path in seen:
            raise TrmsolveError(f"{seen[0]}: its bases lead back to {path}", "end them at a recipe without base")
        seen.append(path)
        layers.append(_load(path))
        base = layers[-1].pop("base", None)
        path = None if base is None else _find(str(base), path)
    merged: Values = {}
    for layer in reversed(layers):
        merged = over(merged, layer)
    return merged


def of_task(task: str, sources: Sequence[str] = (), mixer: str | None = None) -> Values:
    """The settings of the bundled checkpoint of a task; of one that learns its settings from data, for these files."""
    trains = trainable(get(task).for_data(sources, mixer))
    return {"task": task, "model": dict(trains.model_defaults), "train": dict(trains.train_defaults)}


def further(task: str, config: TRMConfig, sources: Sequence[str] = ()) -> Values:
    """The settings to train a given model further: as it was published where it was, but in batches of our own size."""
    kind = "hrm" if config.num_y_layers else {"mlp": "trm-mlp", "attention": "trm-att"}.get(config.mixer, "")
    name = f"{kind}-{task}"
    values = read(name) if config.seq_len and name in names() else of_task(task, sources, config.mixer)
    train = {key: value for key, value in values.get("train", {}).items() if key not in ("steps", "batch_size")}
    return {**values, "train": train, "model": config.to_dict()}


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """Settings over others, section by section; null takes one out."""
    merged = dict(below)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            inner = {**merged[name], **value}
            merged[name] = {key: kept for key, kept in inner.items() if kept is not None}
        else:
            merged[name] = value
    return merged


def ending(values: Values, steps: int | None, minutes: float | None, otherwise: float) -> Values:
    """With this end in place of the recipe's; after `otherwise` minutes where neither has one."""
    train = values.get("train", {})
    if steps is None and minutes is None:
        steps, minutes = train.get("steps"), train.get("minutes")
        if steps is None and minutes is None:
            minutes = otherwise
    return {**values, "train": {**train, "steps": steps, "minutes": minutes}}


def with_settings(values: Values, settings: Iterable[str]) -> Values:
    """Over a recipe's values those of `SECTION.KEY=VALUE`, VALUE in YAML. Raises TrmsolveError for other text."""
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot or section not in SECTIONS or not key:
            raise TrmsolveError(
                f"--set {setting}: expected SECTION.KEY=VALUE",
                f"for example train.lr=3e-4; {did_you_mean(section, SECTIONS)}",
            )
        try:
            value = parse_yaml(text)
        except ValueError:
            shown = printable(text, SHOWN)
            raise TrmsolveError(
                f"--set {printable(name, SHOWN)}: '{shown}' is no value", "for example model.hidden_size=128"
            ) from None
        values = over(values, {section: {key: value}})
    return values


def build(values: Mapping[str, Any]) -> Recipe:
    """The recipe that these settings make. Raises TrmsolveError, naming the setting, for everything that is wrong."""
    parts = ("task", *SECTIONS)
    for part, value in values.items():
        if part not in parts:
            raise TrmsolveError(f"{printable(part, SHOWN)}: no part of a recipe", did_you_mean(str(part), parts))
        if part == "task":
            continue
        if not isinstance(value, Mapping):
            raise TrmsolveError(f"{part}: settings by name needed, found {_shown(value)}")
        for name in value:
            if not isinstance(name, str):
                raise TrmsolveError(f"{part}: the name of a setting is a word, found {_shown(name)}")
    task = values.get("task")
    if not isinstance(task, str):
        raise TrmsolveError("the recipe names no task", "task: sudoku")
    get(task)
    model = dict(values.get("model", {}))
    hints = typing.get_type_hints(TRMConfig)
    if "cells" in model:
        hints |= {name: typing.get_type_hints(official)[name] for name in _PUBLISHED}
        for name in ("mixer", "vocab_size"):
            if name not in model:
                raise TrmsolveError(
                    f"model.{name}: needed beside model.cells", "for example mixer: mlp, vocab_size: 11"
                )
    model = {name: _typed("model", name, value, hints) for name, value in model.items()}
    train = values.get("train", {})
    hints = typing.get_type_hints(TrainConfig)
    train_config = TrainConfig(**{name: _typed("train", name, value, hints) for name, value in train.items()})
    data = dict(values.get("data", {}))
    sources = data.pop("sources", None) or []
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise TrmsolveError(f"data.sources: a list of files and generators needed, found {_shown(sources)}")
    for name, value in data.items():
        if type(value) not in (int, float, bool, str):
            raise TrmsolveError(f"data.{name}: a number, true or false needed, found {_shown(value)}")
    recipe = Recipe(task, model, train_config, tuple(sources), data)
    _ = recipe.config  # validates
    return recipe


# -- parts --------------------------------------------------------------------------------------------------------


def _find(spec: str, beside: Path | None) -> Path:
    """A recipe by name, or by file (a base: seen from the file that names it)."""
    if spec in names():
        return BUNDLED / f"{spec}.yaml"
    with suppress(OSError, ValueError, RuntimeError):  # a name too long, a NUL in it, the home of an unknown user
        path = Path(spec).expanduser()
        path = path if beside is None or path.is_absolute() else beside.parent / path
        if path.is_file():
            return path
    raise TrmsolveError(
        f"no recipe {printable(spec)}", f"name a file or a bundled recipe: {did_you_mean(spec, names())}"
    )


def _load(path: Path) -> Values:
    try:
        with path.open("rb") as file:
            text = file.read(SIZE_LIMIT + 1)
        values = parse_yaml(text.decode("utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise TrmsolveError(
            f"cannot read {path}: {printable(reason, 200)}",
            "see a right one: trmsolve train --task sudoku --print-config",
        ) from None
    if not isinstance(values, dict):
        raise TrmsolveError(f"{path} holds no settings by name", "task, model, train, data")
    return values


def parse_yaml(text: str) -> Any:
    """The value of a YAML text. Raises ValueError for other text, and for what no recipe needs: references, whose
    expansion has no bound, deep nesting, very long texts and values.
    """
    if len(text) > SIZE_LIMIT:
        raise ValueError(f"longer than {SIZE_LIMIT:,} characters")
    depth = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH_LIMIT:
                raise ValueError(f"nested more than {DEPTH_LIMIT} deep")
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("references (*name) are not supported")
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > VALUE_LIMIT:
                raise ValueError(f"a value of more than {VALUE_LIMIT} characters")
        return yaml.safe_load(text)
    except (yaml.YAMLError, LookupError, TypeError) as error:  # !!bool x, !!int "" and the like
        raise ValueError(str(error)) from error


def _shown(value: Any) -> str:
    """A value as messages quote it."""
    return printable(repr(value), SHOWN)


def _typed(section: str, name: str, value: Any, hints: Mapping[str, Any]) -> Any:
    if name not in hints:
        raise TrmsolveError(f"{section}.{printable(name, SHOWN)}: no such setting", did_you_mean(name, tuple(hints)))
    kinds = typing.get_args(hints[name]) if typing.get_origin(hints[name]) is not tuple else (tuple,)
    kinds = kinds or (hints[name],)
    if value is None and type(None) in kinds:
        return None
    if tuple in kinds:
        return _rows(section, name, value)
    if type(value) in kinds and not (type(value) is int and abs(value) > LARGEST):
        return value
    if float in kinds:  # YAML takes 1e-4 for a word: it wants 1.0e-4
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    words = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}
    wanted = " or ".join(words[kind] for kind in kinds if kind in words)
    raise TrmsolveError(f"{section}.{name}: {wanted} needed, found {_shown(value)}")


def _rows(section: str, name: str, value: Any) -> tuple[Any, ...]:
    """A list of numbers, or of rows of numbers, as tuples."""
    if isinstance(value, list | tuple):
        if name != "depth_curriculum" and all(type(number) is int for number in value):
            return tuple(value)
        shaped = [row for row in value if isinstance(row, list | tuple) and len(row) == 3]
        if (
            name == "depth_curriculum"
            and len(shaped) == len(value)
            and all(type(until) in (int, float) and type(T) is int and type(n) is int for until, T, n in shaped)
        ):
            return tuple((float(until), T, n) for until, T, n in shaped)
    wanted = "rows of [share, T, n]" if name == "depth_curriculum" else "a list of whole numbers"
    raise TrmsolveError(f"{section}.{name}: {wanted} needed, found {_shown(value)}")


def trainable(task: Task) -> Any:
    """The task as one that trains (tasks.base.Trains). Raises TrmsolveError where it has no training data."""
    if not isinstance(task, Trains):
        raise TrmsolveError(f"{task.name} has no training data", "define training_data, model_defaults, train_defaults")
    return task


def _option_value(option: Option, value: Any) -> Any:
    """A data option's value, checked. A bool may be given as a number and a number as a bool is not."""
    name, kind = option.name, option.type
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise TrmsolveError(f"data.{name}: a value of type {kind.__name__} needed, found {_shown(value)}")
    if isinstance(value, int | float) and kind is not bool:
        low, high = -math.inf if option.min is None else option.min, math.inf if option.max is None else option.max
        if not low <= value <= high or not math.isfinite(value):
            raise TrmsolveError(f"data.{name}: a number from {low:g} to {high:g} needed, found {_shown(value)}")
    return value
