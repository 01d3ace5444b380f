"""A grid as the model sees it: a token for each cell of a canvas that holds input and output, cropped to no more.

A token knows its colour, or that it lies outside of the input, and three facts that a cell has by what surrounds it.
Its answer is a colour, or that it lies outside of the output. What tokens hear of each other (KINDS, and eight
neighbours) knows no sizes and positions, so that a rule learnt on small grids holds on large ones.
"""

from __future__ import annotations

from math import prod

import numpy as np

from trmsolve.tasks.arc.grids import COLOURS, Grid, Pair
from trmsolve.tasks.arc.sizes import Shape, SizeRule
from trmsolve.tasks.base import Encoded, Guess, Sample, Scene

OUTSIDE = COLOURS  # the colour of a cell that is not there
LABELS = COLOURS + 1
# What stands in a cell, as a number with digits: its colour; the size of its area, by doublings; whether its object is
# the largest (1), the smallest (2) or both (3); whether its colour is the most frequent (1), the rarest (2) or both.
FACETS = (LABELS, 8, 4, 4)
VOCABULARY = prod(FACETS)
# What a token hears the mean of:
KINDS = (
    # its row, column, the grid, the area of its colour that it lies in, the object it is part of, all of its colour
    *("row", "column", "grid", "area", "object", "colour"),
    # its mirror image, left to right
    "flip",
    # where input and output differ in size: the cells that fall onto each other when the larger one is cut into pieces
    # of the smaller one's size, or shrunk to it
    *("fold", "zoom"),
    # its mirror image, top to bottom, and about the main diagonal of a square
    *("flop", "transpose"),
    # where input and output differ in size: the cell of a part of the input that would lie here, were that part cut
    # out: all but the ground, which is the most frequent colour; the largest object; the smallest; the rarest colour
    *("content", "largest", "smallest", "rarest"),
    # the first cell that is not of the ground's colour, looking up, left, right and down
    *("up", "left", "right", "down"),
)
Units = dict[str, tuple[np.ndarray, np.ndarray]]  # by kind what each cell speaks to, and what it hears; -1 for none
NEIGHBOURS = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0))


def encode(grid: Grid, rule: SizeRule, row: int = 0) -> Encoded:
    """The question that an input is. row: of the table of task embeddings (model/palette.py).

    The choices: for each cell of the canvas one of LABELS. An option means cell * LABELS + label.
    """
    height, width = canvas = rule.canvas(grid.shape)
    cells = np.full(canvas, OUTSIDE, np.int64)
    cells[: grid.shape[0], : grid.shape[1]] = grid
    areas = components(cells, diagonal=False)
    objects = np.where((cells == 0) | (cells == OUTSIDE), -1, components((cells == 0) + 2 * (cells == OUTSIDE), True))
    x = np.ravel_multi_index(
        (cells, _doublings(areas, cells), _extremes(_numbered(objects)), _extremes(np.where(objects < 0, -1, cells))),
        FACETS,
    )
    number = height * width
    options = np.arange(number) * LABELS
    ties = _ties(cells, areas, objects, grid.shape, rule.output(grid.shape))
    return Encoded(x.ravel() + VOCABULARY * row, ties, options, np.full(number, LABELS), np.arange(number * LABELS))


def labels(output: Grid, canvas: Shape) -> np.ndarray:
    """int64 (cells,) What each cell of the canvas is to become."""
    wanted = np.full(canvas, OUTSIDE, np.int64)
    wanted[: output.shape[0], : output.shape[1]] = output
    return wanted.ravel()


def sample(pair: Pair, rule: SizeRule, row: int = 0) -> Sample:
    """A pair to train on. Large grids weigh more than small ones, but not by as much as they have more cells.

    Raises ValueError for an output that the rule's canvas does not hold.
    """
    canvas = rule.canvas(pair.input.shape)
    if pair.output.shape[0] > canvas[0] or pair.output.shape[1] > canvas[1]:
        raise ValueError(f"an output of {pair.output.shape} on a canvas of {canvas}")
    target = labels(pair.output, canvas)
    weight = np.full(len(target), len(target) ** -0.5, np.float32)
    return Sample(encode(pair.input, rule, row), target, weight=weight)


def decode(meanings: np.ndarray, confidence: np.ndarray, canvas: Shape, size: Shape | None = None) -> Guess:
    """The grid that int64 (cells,) meanings draw on the canvas, and its confidence, float32 (cells,), as one of a cell.

    Its size, unless it is known: the rows, and the columns, of which most cells inside it are there; at least one.
    A cell that is outside all the same is drawn black, with no confidence.
    """
    chosen, sure = (meanings % LABELS).reshape(canvas), confidence.reshape(canvas)
    there = chosen != OUTSIDE
    if size is None:
        height = max(1, _extent(there[:, : max(1, _extent(there.any(0)))].mean(1) >= 0.5))
        size = height, max(1, _extent(there[:height].mean(0) >= 0.5))
    inside = np.s_[: size[0], : size[1]]
    answer = np.where(there, chosen, 0)[inside].astype(np.uint8)
    return Guess(answer, np.where(there, sure, 0)[inside].astype(np.float32))


def _extent(there: np.ndarray) -> int:
    """How many lead the row that are there."""
    return len(there) if there.all() else int(there.argmin())


# -- what a grid is made of ---------------------------------------------------------------------------------------


def components(cells: np.ndarray, diagonal: bool) -> np.ndarray:
    """int64, the same shape: cells of one value that hang together have one number, 0, 1, ... by first occurrence."""
    height, width = cells.shape
    found = np.arange(height * width).reshape(height, width)
    steps = [(0, 1), (1, 0), *([(1, 1), (1, -1)] if diagonal else [])]
    ties = []
    for down, right in steps:
        here = np.s_[: height - down, max(0, -right) : width - max(0, right)]
        there = np.s_[down:, max(0, right) : width + min(0, right)]
        same = cells[here] == cells[there]
        ties.append((found[here][same], found[there][same]))
    a, b = (np.concatenate(side) for side in zip(*ties, strict=True))
    root = np.arange(height * width)
    while True:  # everyone's root falls to the lowest one that a neighbour has, then to that one's own
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
    """How often 1 can be doubled up to the size of the cell's area, 6 at most, plus 1; 0 outside."""
    size = np.bincount(areas.ravel())[areas]
    return np.where(cells == OUTSIDE, 0, np.minimum(np.log2(size).astype(np.int64) + 1, FACETS[1] - 1))


def _extremes(groups: np.ndarray) -> np.ndarray:
    """1 for the cells of the largest group, 2 for those of the smallest, 3 where it is both; 0 else, and for -1."""
    inside = groups >= 0
    if not inside.any():
        return np.zeros_like(groups)
    size = np.bincount(groups[inside])
    size_of_cell = np.where(inside, size[groups], -1)
    present = size[size > 0]
    return np.where(inside, (size_of_cell == present.max()) + 2 * (size_of_cell == present.min()), 0)


def _numbered(groups: np.ndarray) -> np.ndarray:
    """The same groups as 0, 1, ...; -1 stays."""
    values, numbers = np.unique(groups, return_inverse=True)
    return numbers.reshape(groups.shape) - int(values[0] == -1)


# -- who hears whom -----------------------------------------------------------------------------------------------


def _ties(cells: np.ndarray, areas: np.ndarray, objects: np.ndarray, before: Shape, after: Shape | None) -> Scene:
    height, width = cells.shape
    r, c = np.indices(cells.shape)
    inside = cells != OUTSIDE
    index = np.pad(r * width + c, 1, constant_values=-1)
    near = np.stack([index[1 + dr : 1 + dr + height, 1 + dc : 1 + dc + width].ravel() for dr, dc in NEIGHBOURS], 1)
    at = np.where(inside, r * width + c, -1)
    grouped = {
        "row": r,
        "column": c,
        "grid": np.zeros_like(r),
        "area": areas,
        "object": objects,
        "colour": cells,
    }
    units = {kind: (told, told) for kind, told in grouped.items()}
    units |= _mirrors(at, before)
    units |= _mapped(r, c, inside, before, after)
    drawn = inside & (cells != np.bincount(cells[inside]).argmax())
    units |= _cut_out(at, cells, objects, drawn, changed=after != before)
    units |= _seen(at, drawn)
    speaks, hears, numbers = [], [], []
    for told, heard in (units[kind] for kind in KINDS):
        both = np.stack([told.ravel(), heard.ravel()])
        there = np.zeros(int(both.max()) + 2, np.int64)  # the last stands for none
        there[both] = 1
        there[-1] = 0
        rank = np.cumsum(there) - 1
        rank[-1] = -1
        speaks.append(rank[both[0]])
        hears.append(rank[both[1]])
        numbers.append(int(there.sum()))
    return Scene(*(np.stack(part).astype(np.int32) for part in (near, speaks, hears)), np.array(numbers, np.int64))


def _mirrors(at: np.ndarray, shape: Shape) -> Units:
    """Every cell of the input speaks, and is heard by its mirror image."""
    grid = at[: shape[0], : shape[1]]
    images = {"flip": grid[:, ::-1], "flop": grid[::-1]}
    if shape[0] == shape[1]:
        images["transpose"] = grid.T
    nobody = np.full_like(at, -1)
    found = dict.fromkeys(("flip", "flop", "transpose"), (nobody, nobody))
    for kind, image in images.items():
        heard = nobody.copy()
        heard[: shape[0], : shape[1]] = image
        found[kind] = at, heard
    return found


def _cut_out(at: np.ndarray, cells: np.ndarray, objects: np.ndarray, drawn: np.ndarray, changed: bool) -> Units:
    """Each cell of a part's bounding box speaks to where it would lie if the box were moved to the corner."""
    size, rank = _extremes(objects), _extremes(np.where(drawn, cells, -1))
    parts = {"content": drawn, "largest": size % 2 == 1, "smallest": size >= 2, "rarest": rank >= 2}
    found = {}
    for kind, part in parts.items():
        heard, told = np.full_like(at, -1), np.full_like(at, -1)
        if changed and part.any():
            rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            told[box] = at[box]
            heard[: rows[-1] + 1 - rows[0], : columns[-1] + 1 - columns[0]] = at[box]
        found[kind] = told, heard
    return found


def _seen(at: np.ndarray, drawn: np.ndarray) -> Units:
    """Each cell that is drawn speaks; in each direction the first such cell is heard, whoever stands behind it."""
    own = np.where(drawn, at, -1)
    found = {}
    for kind, turns in (("left", 0), ("up", 3), ("right", 2), ("down", 1)):
        # Turned so that the direction is to the left; what stands at each place or left of it, then one further left.
        turned = np.rot90(own, -turns)
        place = np.maximum.accumulate(np.where(turned >= 0, np.arange(turned.shape[1]), -1), 1)
        before = np.pad(place, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
        first = np.where(before < 0, -1, np.take_along_axis(turned, np.maximum(before, 0), 1))
        found[kind] = own, np.where(at >= 0, np.rot90(first, turns), -1)
    return found


def _mapped(r: np.ndarray, c: np.ndarray, inside: np.ndarray, before: Shape, after: Shape | None) -> Units:
    """The units of `fold` and `zoom`: what cells of the input speak to, and what cells of the output hear."""
    nobody = np.full(r.shape, -1)
    if after is None or after == before:
        return dict.fromkeys(("fold", "zoom"), (nobody, nobody))
    width = r.shape[1]
    target = (r < after[0]) & (c < after[1])
    pieces = [_piece(b, a) for b, a in zip(before, after, strict=True)]
    fold = (r % pieces[0]) * width + c % pieces[1]
    heard, told = (
        [_shrunk(i, own, other) for i, own, other in zip((r, c), *s, strict=True)]
        for s in ((after, before), (before, after))
    )
    whole = all(max(a, b) % min(a, b) == 0 for a, b in zip(after, before, strict=True))
    folded = np.where(inside, fold, -1), np.where(target, fold, -1)
    zoomed = np.where(inside, told[0] * width + told[1], -1), np.where(target, heard[0] * width + heard[1], -1)
    return {"fold": folded, "zoom": zoomed if whole else (nobody, nobody)}


def _piece(before: int, after: int) -> int:
    """The period at which input and output fall onto each other; pieces of an input may have a line between them."""
    if after >= before:
        return before
    return next((after + line for line in (0, 1) if (before + line) % (after + line) == 0), after)


def _shrunk(index: np.ndarray, own: int, other: int) -> np.ndarray:
    """Where an index of a side lies on the other one, when the longer is shrunk to the shorter."""
    return index // (own // other) if own > other else index
