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
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official
from trmsolve.tasks import get
from trmsolve.tasks.base import Option, Task, TrainingData, Trains
from trmsolve.training.config import TrainConfig

BUNDLED = Path(__file__).parent / "recipes"
SECTIONS = ("model", "train", "data")
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
    path, layers = _find(spec, None), []
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
    """With the end that was asked for, in place of the recipe's; after `otherwise` minutes where nobody says one."""
    train = values.get("train", {})
    if steps is None and minutes is None:
        steps, minutes = train.get("steps"), train.get("minutes")
        if steps is None and minutes is None:
            minutes = otherwise
    return {**values, "train": {**train, "steps": steps, "minutes": minutes}}


def with_settings(values: Values, settings: Iterable[str]) -> Values:
    """Over a recipe's values those of `SECTION.KEY=VALUE`, VALUE in YAML. Raises TrmsolveError for what is no such."""
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot or section not in SECTIONS or not key:
            raise TrmsolveError(
                f"--set {setting}: expected SECTION.KEY=VALUE",
                f"for example train.lr=3e-4; {did_you_mean(section, SECTIONS)}",
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise TrmsolveError(f"--set {setting}: '{text}' is no value", "for example model.hidden_size=128") from None
        values = over(values, {section: {key: value}})
    return values


def build(values: Mapping[str, Any]) -> Recipe:
    """The recipe that these settings make. Raises TrmsolveError, naming the setting, for everything that is wrong."""
    parts = ("task", *SECTIONS)
    for name, value in values.items():
        if name not in parts:
            raise TrmsolveError(f"{name}: no part of a recipe", did_you_mean(str(name), parts))
        if name != "task" and not isinstance(value, Mapping):
            raise TrmsolveError(f"{name}: settings by name needed, found {value!r}")
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
        raise TrmsolveError(f"data.sources: a list of files and generators needed, found {sources!r}")
    for name, value in data.items():
        if type(value) not in (int, float, bool, str):
            raise TrmsolveError(f"data.{name}: a number, true or false needed, found {value!r}")
    recipe = Recipe(task, model, train_config, tuple(sources), data)
    _ = recipe.config  # validates
    return recipe


# -- parts --------------------------------------------------------------------------------------------------------


def _find(spec: str, beside: Path | None) -> Path:
    """A recipe by name, or by file (a base: seen from the file that names it)."""
    if spec in names():
        return BUNDLED / f"{spec}.yaml"
    path = Path(spec).expanduser()
    path = path if beside is None or path.is_absolute() else beside.parent / path
    if path.is_file():
        return path
    raise TrmsolveError(f"no recipe {spec}", f"a file, or one of those that come along: {did_you_mean(spec, names())}")


def _load(path: Path) -> Values:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise TrmsolveError(
            f"cannot read {path}: {reason}", "see a right one: trmsolve train --task sudoku --print-config"
        ) from None
    if not isinstance(values, dict):
        raise TrmsolveError(f"{path} holds no settings by name", "task, model, train, data")
    return values


def _typed(section: str, name: str, value: Any, hints: Mapping[str, Any]) -> Any:
    if name not in hints:
        raise TrmsolveError(f"{section}.{name}: no such setting", did_you_mean(name, tuple(hints)))
    kinds = typing.get_args(hints[name]) if typing.get_origin(hints[name]) is not tuple else (tuple,)
    kinds = kinds or (hints[name],)
    if value is None and type(None) in kinds:
        return None
    if tuple in kinds:
        return _rows(section, name, value)
    if type(value) in kinds:
        return value
    if float in kinds:  # YAML takes 1e-4 for a word: it wants 1.0e-4
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    words = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}
    wanted = " or ".join(words[kind] for kind in kinds if kind in words)
    raise TrmsolveError(f"{section}.{name}: {wanted} needed, found {value!r}")


def _rows(section: str, name: str, value: Any) -> tuple[Any, ...]:
    """A list of numbers, or of rows of numbers, as tuples."""
    if isinstance(value, list | tuple):
        if name != "depth_curriculum" and all(type(number) is int for number in value):
            return tuple(value)
        shaped = [row for row in value if isinstance(row, list | tuple) and len(row) == 3]
        if (
            name == "depth_curriculum"
            and len(shaped) == len(value)
            and all(
                isinstance(until, int | float) and type(T) is int and type(n) is int and T > 0 and n > 0
                for until, T, n in shaped
            )
        ):
            return tuple((float(until), T, n) for until, T, n in shaped)
    wanted = "rows of [share, T, n]" if name == "depth_curriculum" else "a list of whole numbers"
    raise TrmsolveError(f"{section}.{name}: {wanted} needed, found {value!r}")


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
        raise TrmsolveError(f"data.{name}: a value of type {kind.__name__} needed, found {value!r}")
    if kind in (int, float):
        low, high = -math.inf if option.min is None else option.min, math.inf if option.max is None else option.max
        if not low <= value <= high or not math.isfinite(value):
            raise TrmsolveError(f"data.{name}: a number from {low:g} to {high:g} needed, found {value!r}")
    return value
