"""NumPy files as JSON values: dictionaries and lists whose grids are arrays (schema.py).

.npz  generated pairs: task_ids, and of all pairs task_index, shapes (pairs, 4) and cells (RE-ARC as trmsolve packs it)
.npz  one task: train_inputs, train_outputs, test_inputs and test_outputs, each (grids, height, width), or one array
      for each grid: train_0_input, train_0_output, test_0_input, ...
.npy  pairs of one size: (pairs, 2, height, width)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trmsolve.errors import InputError
from trmsolve.tasks.arc.grids import COLORS, MAX_READABLE_SIDE
from trmsolve.text_io import shorten

MAX_GRIDS = 2_000_000  # of a file: 400 tasks of ARC with 2,500 pairs each
PAIR_ARRAYS = ("task_ids", "task_index", "shapes", "cells")
EXPECTED = (
    f"expected an .npz with {', '.join(PAIR_ARRAYS[:3])} and {PAIR_ARRAYS[3]}, or with train_inputs, train_outputs and "
    "test_inputs, or an .npy of pairs, (pairs, 2, height, width)"
)
_grid_name = re.compile(r"(train|test)\W*_?\d*\W*_?(input|output|x|y)s?\W*_?\d*", re.IGNORECASE)
_xy_name = re.compile(r"^([xy])_?(train|test)", re.IGNORECASE)
_sides = {"i": "input", "x": "input", "o": "output", "y": "output"}


def value_from_arrays(arrays: dict[str, np.ndarray], source: str) -> Any:
    """The arrays as a value for schema.py. Raises InputError for arrays of other names or shapes."""
    if sum(len(array) for array in arrays.values() if array.ndim > 2) > MAX_GRIDS:
        raise InputError(source, f"more than {MAX_GRIDS:,} grids", "split it into several files")
    if any(name in arrays for name in PAIR_ARRAYS):
        return {name: [{"input": a, "output": b} for a, b in pairs] for name, pairs in tasks_of_pairs(arrays, source)}
    if "" in arrays and arrays[""].ndim == 4 and arrays[""].shape[1] == 2:
        return [{"input": before, "output": after} for before, after in arrays[""]]
    if parts := parts_by_name(arrays, lambda array: array.ndim):
        return parts
    names = ", ".join(f"'{shorten(name, 30)}' {array.shape}" for name, array in list(arrays.items())[:5])
    raise InputError(source, f"holds the arrays {names}" if arrays else "holds no array", EXPECTED)


def parts_by_name(grids: Mapping[str, Any], depth: Callable[[Any], int]) -> dict[str, dict[str, list[Any]]]:
    """{"train": {"input": grids, "output": grids}, "test": ...} from values with names such as train_inputs or x_train.

    depth: 2 for a value that is a grid, 3 for one with several. {} if a name or a depth is another.
    """
    parts: dict[str, dict[str, list[Any]]] = {}
    for name, value in sorted(grids.items(), key=lambda item: [int(n[:9]) for n in re.findall(r"\d+", item[0])]):
        match = _grid_name.fullmatch(_xy_name.sub(r"\2_\1", name))
        if match is None or depth(value) not in (2, 3):
            return {}
        part = parts.setdefault(match[1].lower(), {}).setdefault(_sides[match[2][:1].lower()], [])
        part += [value] if depth(value) == 2 else list(value)
    return parts


def tasks_of_pairs(arrays: dict[str, np.ndarray], source: str) -> list[tuple[str, list[tuple[np.ndarray, np.ndarray]]]]:
    """The tasks of generated pairs: names, and for each its pairs (input, output), views, uint8 (height, width).

    task_ids: str (tasks,). task_index: integers (pairs,) the task of each pair. shapes: integers (pairs, 4), rows and
    columns of the input, then of the output. cells: uint8 (cells,) of input, output, input, ... row by row, one grid
    after the other. Raises InputError for arrays that are missing or do not fit each other.
    """

    def check(fits: bool | np.bool_, name: str) -> None:
        if not fits:
            raise InputError(source, f"the array '{name}' does not fit the others", EXPECTED)

    for name in PAIR_ARRAYS:
        if name not in arrays:
            raise InputError(source, f"the array '{name}' is missing", EXPECTED)
    names, index, shapes, cells = (arrays[name] for name in PAIR_ARRAYS)
    if 2 * index.size > MAX_GRIDS:
        raise InputError(source, f"more than {MAX_GRIDS:,} grids", "split it into several files")
    check(names.ndim == 1 and names.dtype.kind == "U" and len(set(names.tolist())) == len(names), "task_ids")
    check(index.ndim == 1 and index.dtype.kind in "iu" and ((index >= 0) & (index < len(names))).all(), "task_index")
    sides = shapes.shape == (len(index), 4) and shapes.dtype.kind in "iu"
    check(sides and ((shapes >= 1) & (shapes <= MAX_READABLE_SIDE)).all(), "shapes")
    sizes = shapes.astype(np.int64).reshape(-1, 2)  # (2 pairs, 2) of input, output, input, ...
    ends = sizes.prod(1).cumsum()  # (2 pairs,) among the cells
    total = int(ends[-1]) if len(ends) else 0
    check(cells.dtype == np.uint8 and cells.shape == (total,) and cells.max(initial=0) < COLORS, "cells")
    grids = [part.reshape(size) for part, size in zip(np.split(cells, ends[:-1]), sizes.tolist(), strict=True)]
    tasks: list[tuple[str, list[tuple[np.ndarray, np.ndarray]]]] = [(name, []) for name in names.tolist()]
    for task, before, after in zip(index.tolist(), grids[::2], grids[1::2], strict=True):
        tasks[task][1].append((before, after))
    return tasks
