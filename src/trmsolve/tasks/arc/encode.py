"""Encode a grid as model input: one token for each cell of a canvas that is large enough for input and output.

A token's id combines the cell's colour, or "outside the input", and three features of its surroundings. The class to
predict is a colour, or "outside the output". The relations between tokens (RELATIONS, and eight neighbours) do not
depend on sizes and positions, so that a rule learnt on small grids applies to large ones.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from trmsolve.model.inputs import Encoded
from trmsolve.tasks.arc.grids import COLORS, Shape, SizeRule
from trmsolve.tasks.base import Prediction, Sample
from trmsolve.tasks.few_shot import Grid, Pair

if TYPE_CHECKING:
    from trmsolve.model.mixers.relational import RelationalEdges

OUTSIDE = COLORS  # the "colour" of a cell outside its grid
NUM_CLASSES = COLORS + 1
# A token id is a number with these digits: the colour; the size of the cell's area, in doublings; whether its object is
# the largest (1), the smallest (2) or both (3); whether its colour is the most frequent (1), the rarest (2) or both.
FEATURE_SIZES = (NUM_CLASSES, 8, 4, 4)
VOCAB_SIZE = prod(FEATURE_SIZES)
# Each token receives, for each relation, the mean over a group of tokens:
RELATIONS = (
    # its row, column, the grid, the area of its colour that it lies in, the object it is part of, all of its colour
    *("row", "column", "grid", "area", "object", "colour"),
    # its mirror image, left to right
    "flip",
    # if input and output differ in size: the cells that coincide when the larger one is cut into pieces of the smaller
    # one's size, or shrunk to it
    *("fold", "zoom"),
    # its mirror image, top to bottom, and about the main diagonal of a square
    *("flop", "transpose"),
    # if input and output differ in size: the cell of a part of the input that would lie here if that part were cut
    # out: all but the background (the most frequent colour); the largest object; the smallest; the rarest colour
    *("content", "largest", "smallest", "rarest"),
    # the first cell that is not of the background's colour, looking up, left, right and down
    *("up", "left", "right", "down"),
)
# By relation the group that each cell belongs to as source, and the one it receives from; -1 for none.
Groups = dict[str, tuple[np.ndarray, np.ndarray]]
NEIGHBORS = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0))


def encode(grid: Grid, rule: SizeRule, row: int = 0) -> Encoded:
    """An input grid as a question. row: of the puzzle table.

    One choice among NUM_CLASSES for each cell of the canvas. The meaning of an option is cell * NUM_CLASSES + class.
    """
    height, width = canvas = rule.canvas(grid.shape)
    cells = np.full(canvas, OUTSIDE, np.int64)
    cells[: grid.shape[0], : grid.shape[1]] = grid
    areas = components(cells, diagonal=False)
    objects = np.where((cells == 0) | (cells == OUTSIDE), -1, components((cells == 0) + 2 * (cells == OUTSIDE), True))
    x = np.ravel_multi_index(
        (cells, _doublings(areas, cells), _extremes(_numbered(objects)), _extremes(np.where(objects < 0, -1, cells))),
        FEATURE_SIZES,
    )
    number = height * width
    first = np.arange(number) * NUM_CLASSES
    edges = _edges(cells, areas, objects, grid.shape, rule.output(grid.shape))
    size, meanings = np.full(number, NUM_CLASSES), np.arange(number * NUM_CLASSES)
    return Encoded(x.ravel() + VOCAB_SIZE * row, edges, first, size, meanings)


def labels(output: Grid, canvas: Shape) -> np.ndarray:
    """The class of each cell of the canvas, int64 (cells,)."""
    classes = np.full(canvas, OUTSIDE, np.int64)
    classes[: output.shape[0], : output.shape[1]] = output
    return classes.ravel()


def sample(pair: Pair, rule: SizeRule, row: int = 0) -> Sample:
    """A pair as a training sample. A grid's weight grows with the square root of its number of cells.

    Raises ValueError if the rule's canvas does not hold the output.
    """
    canvas = rule.canvas(pair.input.shape)
    if pair.output.shape[0] > canvas[0] or pair.output.shape[1] > canvas[1]:
        raise ValueError(f"an output of {pair.output.shape} on a canvas of {canvas}")
    target = labels(pair.output, canvas)
    weight = np.full(len(target), len(target) ** -0.5, np.float32)
    return Sample(encode(pair.input, rule, row), target, weight=weight)


def decode(classes: np.ndarray, confidence: np.ndarray, canvas: Shape, size: Shape | None = None) -> Prediction:
    """The grid of these classes, int64 (cells,), on the canvas, with the confidence, float32 (cells,), of each cell.

    Unless the size is given, it is the rows, and the columns, most of whose cells are inside; at least one. A cell
    that is predicted to be outside but lies within the size becomes black, with confidence 0.
    """
    chosen, confidence = classes.reshape(canvas), confidence.reshape(canvas)
    inside = chosen != OUTSIDE
    if size is None:
        height = max(1, _leading(inside[:, : max(1, _leading(inside.any(0)))].mean(1) >= 0.5))
        size = height, max(1, _leading(inside[:height].mean(0) >= 0.5))
    region = np.s_[: size[0], : size[1]]
    answer = np.where(inside, chosen, 0)[region].astype(np.uint8)
    return Prediction(answer, np.where(inside, confidence, 0)[region].astype(np.float32))


def _leading(flags: np.ndarray) -> int:
    """The number of True values before the first False."""
    return len(flags) if flags.all() else int(flags.argmin())


# -- features of cells ----------------------------------------------------------------------------------------------


def components(cells: np.ndarray, diagonal: bool) -> np.ndarray:
    """Connected components of equal values, int64 of the same shape, numbered 0, 1, ... by first occurrence."""
    height, width = cells.shape
    index = np.arange(height * width).reshape(height, width)
    steps = [(0, 1), (1, 0), *([(1, 1), (1, -1)] if diagonal else [])]
    edges = []
    for down, right in steps:
        here = np.s_[: height - down, max(0, -right) : width - max(0, right)]
        there = np.s_[down:, max(0, right) : width + min(0, right)]
        same = cells[here] == cells[there]
        edges.append((index[here][same], index[there][same]))
    a, b = (np.concatenate(ends) for ends in zip(*edges, strict=True))  # the two cells of each edge
    root = np.arange(height * width)  # (L,) for each cell one of its component
    while True:  # each root becomes the lowest one among its neighbours, then that one's own root
        low = np.minimum(root[a], root[b])
        after = root.copy()
        np.minimum.at(after, root[a], low)
        np.minimum.at(after, root[b], low)
        after = after[after]
        if np.array_equal(after, root):
            break
        root = after
    return np.unique(root, return_inverse=True)[1].reshape(height, width)


def _doublings(areas: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """log2 of the size of the cell's area, rounded down, at most 6, plus 1; 0 outside."""
    size = np.bincount(areas.ravel())[areas]
    return np.where(cells == OUTSIDE, 0, np.minimum(np.log2(size).astype(np.int64) + 1, FEATURE_SIZES[1] - 1))


def _extremes(groups: np.ndarray) -> np.ndarray:
    """1 for cells of a largest group, 2 for cells of a smallest one, 3 for both; 0 otherwise, and for group -1."""
    inside = groups >= 0
    if not inside.any():
        return np.zeros_like(groups)
    size = np.bincount(groups[inside])
    size_of_cell = np.where(inside, size[groups], -1)
    present = size[size > 0]
    return np.where(inside, (size_of_cell == present.max()) + 2 * (size_of_cell == present.min()), 0)


def _numbered(groups: np.ndarray) -> np.ndarray:
    """The groups renumbered as 0, 1, ...; -1 stays."""
    values, numbers = np.unique(groups, return_inverse=True)
    return numbers.reshape(groups.shape) - int(values[0] == -1)


# -- relations ------------------------------------------------------------------------------------------------------


def _edges(
    cells: np.ndarray, areas: np.ndarray, objects: np.ndarray, before: Shape, after: Shape | None
) -> RelationalEdges:
    """All relations. cells, areas, objects: int64 (H, W) canvas; before, after: sizes of input and output."""
    from trmsolve.model.mixers.relational import RelationalEdges  # imports torch

    height, width = cells.shape
    indices = np.indices(cells.shape)
    r, c = indices[0], indices[1]  # (H, W) each
    inside = cells != OUTSIDE
    index = np.pad(r * width + c, 1, constant_values=-1)
    neighbors = np.stack([index[1 + dr : 1 + dr + height, 1 + dc : 1 + dc + width].ravel() for dr, dc in NEIGHBORS], 1)
    token = np.where(inside, r * width + c, -1)  # (H, W), of cells of the input
    within: dict[str, np.ndarray] = {
        "row": r,
        "column": c,
        "grid": np.zeros_like(r),
        "area": areas,
        "object": objects,
        "colour": cells,
    }
    groups: Groups = {relation: (group, group) for relation, group in within.items()}
    groups |= _mirrors(token, before)
    groups |= _rescalings(r, c, inside, before, after)
    foreground = inside & (cells != np.bincount(cells[inside]).argmax())
    groups |= _crops(token, cells, objects, foreground, changed=after != before)
    groups |= _first_in_sight(token, foreground)
    src, dst, num_groups = [], [], []
    for sources, targets in (groups[relation] for relation in RELATIONS):
        # Renumber the groups that occur as 0, 1, ...: [[5, -1], [5, 9]] -> [[0, -1], [0, 1]].
        both = np.stack([sources.ravel(), targets.ravel()])  # (2, L)
        occurs = np.zeros(int(both.max()) + 2, np.int64)  # the last entry is that of -1
        occurs[both] = 1
        occurs[-1] = 0
        rank = np.cumsum(occurs) - 1
        rank[-1] = -1
        src.append(rank[both[0]])
        dst.append(rank[both[1]])
        num_groups.append(int(occurs.sum()))
    return RelationalEdges(
        neighbors.astype(np.int32),
        np.stack(src).astype(np.int32),
        np.stack(dst).astype(np.int32),
        np.array(num_groups, np.int64),
    )


def _mirrors(token: np.ndarray, shape: Shape) -> Groups:
    """Each cell of the input receives from its mirror image."""
    grid = token[: shape[0], : shape[1]]
    images = {"flip": grid[:, ::-1], "flop": grid[::-1]}
    if shape[0] == shape[1]:
        images["transpose"] = grid.T
    none = np.full_like(token, -1)
    groups = dict.fromkeys(("flip", "flop", "transpose"), (none, none))
    for relation, image in images.items():
        targets = none.copy()
        targets[: shape[0], : shape[1]] = image
        groups[relation] = token, targets
    return groups


def _crops(token: np.ndarray, cells: np.ndarray, objects: np.ndarray, foreground: np.ndarray, changed: bool) -> Groups:
    """Crops of the input: each cell of the output receives from the cell at the same position in a bounding box."""
    size, rank = _extremes(objects), _extremes(np.where(foreground, cells, -1))
    parts = {"content": foreground, "largest": size % 2 == 1, "smallest": size >= 2, "rarest": rank >= 2}
    groups = {}
    for relation, part in parts.items():
        targets, sources = np.full_like(token, -1), np.full_like(token, -1)
        if changed and part.any():
            rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            sources[box] = token[box]
            targets[: rows[-1] + 1 - rows[0], : columns[-1] + 1 - columns[0]] = token[box]
        groups[relation] = sources, targets
    return groups


def _first_in_sight(token: np.ndarray, foreground: np.ndarray) -> Groups:
    """Foreground cells are sources; each cell receives from the first one in each direction."""
    sources = np.where(foreground, token, -1)
    groups = {}
    for relation, turns in (("left", 0), ("up", 3), ("right", 2), ("down", 1)):
        # Turned so that the direction is to the left. In a row, x a foreground cell:  . x . x .
        turned = np.rot90(sources, -turns)
        column = np.where(turned >= 0, np.arange(turned.shape[1]), -1)  # -1 1 -1 3 -1
        nearest = np.maximum.accumulate(column, 1)  # -1 1 1 3 3: the last one up to here
        before = np.pad(nearest, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]  # -1 -1 1 1 3: strictly before
        first = np.where(before < 0, -1, np.take_along_axis(turned, np.maximum(before, 0), 1))
        groups[relation] = sources, np.where(token >= 0, np.rot90(first, turns), -1)
    return groups


def _rescalings(r: np.ndarray, c: np.ndarray, inside: np.ndarray, before: Shape, after: Shape | None) -> Groups:
    """The groups of `fold` and `zoom`: cells of the input are sources, cells of the output receive."""
    none = np.full(r.shape, -1)
    if after is None or after == before:
        return dict.fromkeys(("fold", "zoom"), (none, none))
    width = r.shape[1]
    target = (r < after[0]) & (c < after[1])
    periods = [_period(b, a) for b, a in zip(before, after, strict=True)]
    fold = (r % periods[0]) * width + c % periods[1]
    dst, src = (
        [_shrunk(i, side, other) for i, side, other in zip((r, c), *sides, strict=True)]
        for sides in ((after, before), (before, after))
    )
    divisible = all(max(a, b) % min(a, b) == 0 for a, b in zip(after, before, strict=True))
    folded = np.where(inside, fold, -1), np.where(target, fold, -1)
    zoomed = np.where(inside, src[0] * width + src[1], -1), np.where(target, dst[0] * width + dst[1], -1)
    return {"fold": folded, "zoom": zoomed if divisible else (none, none)}


def _period(before: int, after: int) -> int:
    """The period along one axis at which input and output coincide. Parts of an input may be separated by lines."""
    if after >= before:
        return before
    return next((after + line for line in (0, 1) if (before + line) % (after + line) == 0), after)


def _shrunk(index: np.ndarray, side: int, other: int) -> np.ndarray:
    """Indices along a side, scaled down to the other side if that is shorter."""
    return index // (side // other) if side > other else index
