"""Questions about colours: every task has an embedding of its own for each colour, and one for itself.

Row p of the table, (1 + C) D numbers: what task p is, then what each of its C colours is. A cell's token is the sum of
the task, of its colour, and of what else is known of it (the further facets of its id). Its answer is scored by how
well what is said of it fits the task's own colours, and by what it copies (copying.py). So nothing in the network
names a colour. A rule that paints red blue does the same for any other two, when the rows say so, and a new task needs
but a new row.

An id below V, the vocabulary, is a number with digits: colour, then facets. Id V p + i is i in a puzzle of task p.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.copying import Copying
from trmsolve.model.layout import Layout
from trmsolve.model.scene import AROUND
from trmsolve.model.swiglu import linear


class Palette(nn.Module):
    """The question as x, and y as the answer's logits. The last colour is "no cell", which is the same everywhere."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.facets, self.vocabulary, self.width = config.facets, prod(config.facets), config.width
        self.colours = config.facets[0] - 1
        self.kinds = nn.ModuleList(nn.Embedding(number, config.width) for number in config.facets[1:])
        self.outside = nn.Parameter(torch.randn(config.width))
        self.says = linear(config.width, config.width)  # y to what is compared with colours
        self.says_outside = nn.Linear(config.width, 1)
        self.copying = Copying(config.width, AROUND + config.kinds)
        for kind in self.kinds:
            nn.init.normal_(kind.weight, std=0.5)
        # No parameter, as no optimizer should sweep a table of which a batch meets a few rows (training/optim.py).
        self.register_buffer("puzzles", torch.from_numpy(np.zeros((config.puzzles, self.row), np.float32)))
        if config.puzzles:
            self.fresh(torch.cat([torch.randn(config.width) / 3, torch.randn(self.colours * config.width)]))

    @property
    def row(self) -> int:
        """Numbers in a row of the table."""
        return (1 + self.colours) * self.width

    @torch.no_grad()
    def fresh(self, base: Tensor) -> None:
        """Start every row of the table from base, ((1 + C) D,), its colours in an order of the row's own (orders)."""
        self.puzzles.copy_(self._table(base, len(self.puzzles)))

    def mean(self) -> Tensor:
        """The mean of all rows, ((1 + C) D,), each with its colours back in one order: where a new task starts."""
        parts = self.puzzles.view(-1, 1 + self.colours, self.width)
        back = orders(len(parts), self.colours).argsort(1)[:, :, None].expand(-1, -1, self.width).to(parts.device)
        return torch.cat([parts[:, :1], parts[:, 1:].gather(1, back)], 1).mean(0).flatten()

    @torch.no_grad()
    def rows(self, number: int) -> dict[str, Tensor]:
        """A model's weights that say: so many tasks, all new. Their rows start from the mean of those there are now."""
        return {"embed.puzzles": self._table(self.mean(), number)}

    def _table(self, base: Tensor, rows: int) -> Tensor:
        parts, order = base.view(1 + self.colours, self.width), orders(rows, self.colours).to(base.device)
        return torch.cat([parts[:1].expand(rows, 1, -1), parts[1:][order]], 1).flatten(1)

    def named(self, tokens: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """Which rows of the table the B puzzles of a batch name, int64 (B,), and a copy of them, (B, (1 + C) D)."""
        ids = self.named_by(tokens[layout.puzzles.starts[:-1]])
        return ids, self.puzzles[ids]

    def named_by(self, first: Tensor) -> Tensor:
        """The row of the table that a puzzle names by its first token; int64, any shape."""
        return first // self.vocabulary

    def forward(self, tokens: Tensor, layout: Layout, names: Tensor | None = None) -> Tensor:
        """int64 (L,) ids -> x (L, D). names: (B, (1 + C) D) to stand for the rows of the table."""
        names = self.named(tokens, layout)[1] if names is None else names
        colour, *further = self._digits(tokens)
        palette = torch.cat([names.view(-1, 1 + self.colours, self.width), self._outside(len(names))], 1)
        at = _puzzle(layout, len(tokens)) * (2 + self.colours)
        rows = palette.flatten(0, 1)
        x = F.embedding(at, rows) + F.embedding(at + 1 + colour, rows)
        for kind, digit in zip(self.kinds, further, strict=True):
            x = x + kind(digit)
        return x

    def answer(self, y: Tensor, tokens: Tensor, layout: Layout, names: Tensor | None = None) -> Tensor:
        """y (L, D) -> float32 (L, 1 + C), the logits of each colour, and of "no cell"; in fp32 inside."""
        names = self.named(tokens, layout)[1] if names is None else names
        said = F.linear(y.float(), self.says.weight.float())
        colours = names.float().view(-1, 1 + self.colours, self.width)[:, 1:].flatten(1)
        own = F.embedding(_puzzle(layout, len(tokens)), colours).view(-1, self.colours, self.width)
        logits = torch.bmm(own, said[:, :, None]).squeeze(2) * self.width**-0.5
        none = F.linear(y.float(), self.says_outside.weight.float(), self.says_outside.bias.float())
        colour, *_ = self._digits(tokens)
        return torch.cat([logits, none], 1) + self.copying(y, colour, 1 + self.colours, layout.ties)

    def _digits(self, tokens: Tensor) -> list[Tensor]:
        """int64 (L,) each: a token's colour, then its further facets."""
        rest, digits = tokens % self.vocabulary, []
        for number in reversed(self.facets):
            digits.append(rest % number)
            rest = rest // number
        return digits[::-1]

    def _outside(self, puzzles: int) -> Tensor:
        return self.outside.to(self.puzzles.dtype).expand(puzzles, 1, -1)


def orders(rows: int, colours: int) -> Tensor:
    """int64 (rows, C): which of the base's colours stands at each place of a row. Always the same for the same row.

    The first colour, the ground of most tasks, stays.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = [1 + torch.randperm(colours - 1, generator=generator) for _ in range(rows)]
    return torch.stack([torch.cat([torch.zeros(1, dtype=torch.long), order]) for order in drawn])


def _puzzle(layout: Layout, tokens: int) -> Tensor:
    """int64 (tokens,) The puzzle of each; of the tokens that fill the batch up, the first."""
    of = layout.puzzles.groups.long()
    return F.pad(of, (0, tokens - len(of)))
