"""A recipe: all settings of a run, apart from its folder, as one YAML file.

task: sudoku
model: {...}   fields of TRMConfig (model/config.py); with `cells`, arguments of a published network
(model/sequence_model.py)
train: {...}   fields of TrainConfig (training/config.py)
data:  {sources: [...], ...}   the values of --data, and the task's data options
base: NAME     another recipe, which this one changes; null removes a setting

The published recipes and their fast variants are in recipes/; that of a bundled checkpoint comes from the task
(of_task).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import TRMConfig, check_field, shown
from trmsolve.model.sequence_model import official
from trmsolve.tasks import get
from trmsolve.tasks.base import DataOption, Task, TrainingData, Trains
from trmsolve.text_io import printable
from trmsolve.training.config import MODEL_FIELDS, TrainConfig

BUNDLED = Path(__file__).parent / "recipes"
SECTIONS = ("model", "train", "data")
# Limits of a recipe: characters of the file, nesting depth, characters of a value.
SIZE_LIMIT, DEPTH_LIMIT, VALUE_LIMIT = 1 << 16, 16, 2048
SHOWN = 80  # characters of a wrong value in a message

Values = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """A parsed recipe. model: the section of the file."""

    task: str
    model: Mapping[str, Any]
    train: TrainConfig
    sources: tuple[str, ...]
    data_options: Mapping[str, Any]

    @cached_property
    def config(self) -> TRMConfig:
        """The model's configuration."""
        return official(**self.model) if "cells" in self.model else TRMConfig.from_dict(dict(self.model))

    def config_for(self, data: TrainingData) -> TRMConfig:
        """The model's configuration, with a puzzle table for the tasks of the data if there are several."""
        num_rows = getattr(data, "num_rows", None)
        return self.config if num_rows is None else dataclasses.replace(self.config, num_puzzles=num_rows)

    @cached_property
    def task_for_model(self) -> Task:
        """The task in the form that this model needs."""
        return get(self.task).for_data(self.sources, self.config.mixer).for_model(self.config)

    def data(self) -> TrainingData:
        """The training data. Raises TrmsolveError for unknown options, and for invalid files."""
        task = trainable(self.task_for_model)
        options = {option.name: option for option in task.data_options}
        values = {}
        for name, value in self.data_options.items():
            if name not in options:
                raise TrmsolveError(
                    f"data.{name}: not an option of {self.task} with this model", did_you_mean(name, list(options))
                )
            values[name] = _option_value(options[name], value)
        return task.training_data(self.sources, self.train.seed, **values)

    def text(self) -> str:
        """The recipe as YAML, with all settings; reading it gives the same recipe."""
        train = dataclasses.asdict(self.train) | {
            "depth_curriculum": [list(depth) for depth in self.train.depth_curriculum]
        }
        data = {"sources": list(self.sources), **self.data_options}
        values = {"task": self.task, "model": dict(self.model), "train": train, "data": data}
        return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110)


def names() -> list[str]:
    """The names of the bundled recipes."""
    return sorted(path.stem for path in BUNDLED.glob("*.yaml"))


def read(spec: str) -> Values:
    """The settings of a recipe by name or file, merged with its bases. Raises TrmsolveError if it cannot be read."""
    seen: list[Path] = []
    path: Path | None = _find(spec, None)
    layers: list[Values] = []
    while path is not None:
        if path in seen:
            raise TrmsolveError(f"{seen[0]}: its bases form a cycle at {path}", "remove one `base`")
        seen.append(path)
        layers.append(_load(path))
        base = layers[-1].pop("base", None)
        path = None if base is None else _find(str(base), path)
    merged: Values = {}
    for layer in reversed(layers):
        merged = over(merged, layer)
    return merged


def of_task(task: str, sources: Sequence[str] = (), mixer: str | None = None) -> Values:
    """The settings of a task's bundled checkpoint. sources, mixer: for tasks with learns_settings."""
    trains = trainable(get(task).for_data(sources, mixer))
    return {"task": task, "model": dict(trains.model_defaults), "train": dict(trains.train_defaults)}


def further(task: str, config: TRMConfig, sources: Sequence[str] = ()) -> Values:
    """The settings to continue the training of a model: those of its published recipe, if any, with our batch size."""
    kind = "hrm" if config.num_y_layers else {"mlp": "trm-mlp", "attention": "trm-att"}.get(config.mixer, "")
    name = f"{kind}-{task}"
    values = read(name) if config.seq_len and name in names() else of_task(task, sources, config.mixer)
    train = {key: value for key, value in values.get("train", {}).items() if key not in ("steps", "batch_size")}
    return {**values, "train": train, "model": config.to_dict()}


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """Merge settings, section by section; those of `above` take precedence, and None removes a setting."""
    merged = dict(below)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            inner = {**merged[name], **value}
            merged[name] = {key: kept for key, kept in inner.items() if kept is not None}
        else:
            merged[name] = value
    return merged


def ending(values: Values, steps: int | None, minutes: float | None, otherwise: float) -> Values:
    """The settings with these steps or minutes instead of the recipe's; `otherwise` minutes if neither has any."""
    train = values.get("train", {})
    if steps is None and minutes is None:
        steps, minutes = train.get("steps"), train.get("minutes")
        if steps is None and minutes is None:
            minutes = otherwise
    return {**values, "train": {**train, "steps": steps, "minutes": minutes}}


def with_settings(values: Values, settings: Iterable[str]) -> Values:
    """A recipe's values, changed by `SECTION.KEY=VALUE` with VALUE in YAML. Raises TrmsolveError for other text."""
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
                f"--set {printable(name, SHOWN)}: '{shown}' is not a YAML value", "for example model.hidden_size=128"
            ) from None
        values = over(values, {section: {key: value}})
    return values


def build(values: Mapping[str, Any]) -> Recipe:
    """The recipe of these settings. Raises TrmsolveError, naming the setting, for invalid ones."""
    parts = ("task", *SECTIONS)
    for part, value in values.items():
        if part not in parts:
            raise TrmsolveError(f"{printable(part, SHOWN)}: not a section of a recipe", did_you_mean(str(part), parts))
        if part == "task":
            continue
        if not isinstance(value, Mapping):
            raise TrmsolveError(f"{part}: found {shown(value)}, expected settings by name")
        for name in value:
            if not isinstance(name, str):
                raise TrmsolveError(f"{part}: found {shown(name)}, expected the name of a setting")
    task = values.get("task")
    if not isinstance(task, str):
        raise TrmsolveError("the recipe has no task", "add a line such as task: sudoku")
    get(task)
    model = dict(values.get("model", {}))
    fields = MODEL_FIELDS
    if "cells" in model:
        fields = {**fields, "cells": fields["seq_len"]}
        for name in ("mixer", "vocab_size"):
            if name not in model:
                raise TrmsolveError(
                    f"model.{name}: missing, but needed with model.cells", "for example mixer: mlp, vocab_size: 11"
                )
    model = {name: _typed("model", name, value, fields) for name, value in model.items()}
    train_fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    train = {name: _typed("train", name, value, train_fields) for name, value in values.get("train", {}).items()}
    data = dict(values.get("data", {}))
    sources = data.pop("sources", None) or []
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise TrmsolveError(f"data.sources: found {shown(sources)}, expected a list of files and generators")
    for name, value in data.items():
        if type(value) not in (int, float, bool, str):
            raise TrmsolveError(f"data.{name}: found {shown(value)}, expected a number, true or false")
    recipe = Recipe(task, model, TrainConfig(**train), tuple(sources), data)
    _ = recipe.config  # validates
    return recipe


# -- parts --------------------------------------------------------------------------------------------------------


def _find(spec: str, beside: Path | None) -> Path:
    """The path of a recipe by name or file. beside: a recipe whose folder relative paths refer to, None: the cwd."""
    if spec in names():
        return BUNDLED / f"{spec}.yaml"
    with suppress(OSError, ValueError, RuntimeError):  # the name is too long, contains NUL, or an unknown user's home
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
            "see an example: trmsolve train --task sudoku --print-config",
        ) from None
    if not isinstance(values, dict):
        raise TrmsolveError(f"{path}: no settings by name", "expected the sections task, model, train, data")
    return values


def parse_yaml(text: str) -> Any:
    """The value of a YAML text. Raises ValueError for invalid text, for references, whose expansion is unbounded, for
    deep nesting, and for very long texts and values.
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


def _typed(section: str, name: str, value: Any, fields: Mapping[str, Any]) -> Any:
    """A value of YAML as the field's type: lists as tuples, and 1e-4, which YAML reads as a string, as a number.

    Raises TrmsolveError for an unknown name, and for a value that does not fit the field.
    """
    if name not in fields:
        raise TrmsolveError(f"{section}.{printable(name, SHOWN)}: no such setting", did_you_mean(name, tuple(fields)))
    field = fields[name]
    if isinstance(value, list):
        value = tuple(tuple(row) if isinstance(row, list) else row for row in value)
    elif type(value) in (int, str) and "float" in str(field.type):
        with suppress(ValueError, OverflowError):
            value = float(value)
    check_field(section, field, value)
    return value


def trainable(task: Task) -> Any:
    """The task itself. Raises TrmsolveError unless it has training data (tasks.base.Trains)."""
    if not isinstance(task, Trains):
        raise TrmsolveError(f"{task.name} has no training data", "define training_data, model_defaults, train_defaults")
    return task


def _option_value(option: DataOption, value: Any) -> Any:
    """The value of a data option. Raises TrmsolveError for another type or out of bounds; an int is valid as float."""
    name, kind = option.name, option.type
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise TrmsolveError(f"data.{name}: found {shown(value)}, expected a value of type {kind.__name__}")
    if isinstance(value, int | float) and kind is not bool:
        low, high = -math.inf if option.min is None else option.min, math.inf if option.max is None else option.max
        if not low <= value <= high or not math.isfinite(value):
            raise TrmsolveError(f"data.{name}: found {shown(value)}, expected a number from {low:g} to {high:g}")
    return value
