"""What a cell's role looks like, in every view: one table.

A role is told apart twice: by colour, and by something that survives without it (weight, slant, a line, or, where not
even those exist, a mark after the symbol). Terminals get the palette's own named colours, which their owner has chosen
to suit the background; the pictures get hex colours for a light and a dark page, each readable there (WCAG AA, tested).

Pictures whose cells are areas of colour (mazes, ARC) have tables of their own: there the fill is what is seen, so any
two fills can be told apart, also by the colour-blind (tested), and only a few cells keep their symbols.

A new task adds its roles as rows here; the views need no change for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trmsolve.tasks.base import Cell, Picture


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours of one role on one kind of page; `fill` "" lets the page shine through."""

    ink: str
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """One row of the table."""

    word: str  # its name in legends; "": explains itself
    colour: str  # Rich style on a terminal with colours
    plain: str  # Rich style without colours
    mark: str  # character after the symbol where there are no colours; " " for none
    light: Paint
    dark: Paint
    bold: bool = False
    italic: bool = False
    underline: bool = False
    corner: bool = False  # a filled corner in the cell
    doubtful: bool = False  # the less confidence, the deeper the haze behind the symbol
    letter: bool = False  # solid pictures: the cell keeps its symbol
    tile: bool = False  # solid pictures: every cell has an outline, so that they can be counted


ROLES: dict[str, Role] = {
    "given": Role("given", "bold", "bold", "'", Paint("#1f2328", "#eef0f3"), Paint("#f0f3f6", "#21272f"), bold=True),
    "answer": Role("settled", "green", "", " ", Paint("#12653a"), Paint("#57d39a"), doubtful=True),
    "changed": Role(
        "changed",
        "bold bright_white on blue",
        "reverse",
        "*",
        Paint("#0b4fc4", "#d6e6ff"),
        Paint("#a5cdff", "#173d73"),
        underline=True,
    ),
    "unsure": Role(
        "unsure", "italic magenta", "dim italic", "?", Paint("#6b35b8"), Paint("#c9a8ff"), italic=True, doubtful=True
    ),
    "conflict": Role(
        "conflict",
        "bold underline red",
        "bold underline",
        "!",
        Paint("#b3141d", "#ffdcdc"),
        Paint("#ff9c99", "#551c20"),
        bold=True,
        corner=True,  # not a line through the symbol: a struck 6 reads as an 8
    ),
    "blank": Role("", "dim", "dim", " ", Paint("#6a737d"), Paint("#8b949e")),
}

# Solid pictures. `colour` is the area's colour on a terminal: a name, INK, or "" for the terminal's own background.
# The light fills are steps of eight, which a GIF shows unchanged.
INK = "dim"  # the terminal's own text colour, subdued: no name for grey is visible on every background

MAZE: dict[str, Role] = {
    "wall": Role("", INK, "dim", " ", Paint("#ffffff", "#485060"), Paint("#ffffff", "#5d6874")),
    "floor": Role("", "", "", " ", Paint("#1f2328", "#ffffff"), Paint("#f0f3f6", "#12181f")),
    "start": Role(
        "start",
        "yellow",
        "bold",
        "S",
        Paint("#1f2328", "#f0b008"),
        Paint("#1f2328", "#f0b429"),
        bold=True,
        letter=True,
    ),
    "goal": Role(
        "goal", "red", "bold", "G", Paint("#ffffff", "#d03030"), Paint("#ffffff", "#d6363c"), bold=True, letter=True
    ),
    "path": Role("path", "blue", "bold", "o", Paint("#ffffff", "#1860c8"), Paint("#0f1419", "#2f7bea")),
    "changed": Role("new", "cyan", "reverse", "*", Paint("#1f2328", "#88d0f8"), Paint("#0f1419", "#b4e6ff")),
    "unsure": Role("unsure", "magenta", "italic", "?", Paint("#1f2328", "#b080e0"), Paint("#0f1419", "#bb92ee")),
    "former": Role("former", "", "", " ", Paint("#1f2328", "#e0e8f0"), Paint("#f0f3f6", "#27303b")),
}


def _tile(fill: str, ink: str, terminal: str = "") -> Role:
    """A colour that is the same everywhere: it is the question itself. `terminal`: what terminals get instead."""
    return Role("", terminal or fill, "none", " ", Paint(ink, fill), Paint(ink, fill), tile=True)


# The ten colours that ARC is known by, moved just so far that no two look alike to the colour-blind, nor on a terminal
# of sixteen colours, to which Rich reduces them; and what lies between the grids of one picture.
ARC: dict[str, Role] = {
    "arc0": _tile("#000000", "#ffffff"),
    "arc1": _tile("#0070e0", "#ffffff"),
    "arc2": _tile("#e83028", "#000000"),
    "arc3": _tile("#28b850", "#000000"),
    "arc4": _tile("#f8e000", "#000000"),
    "arc5": _tile("#a0a0a0", "#000000"),
    "arc6": _tile("#e848b8", "#000000"),
    "arc7": _tile("#f89818", "#000000", "#f08800"),
    "arc8": _tile("#80d8f8", "#000000"),
    "arc9": _tile("#800820", "#ffffff"),
    "mat": Role("", "#404858", "none", " ", Paint("#1f2328", "#ffffff"), Paint("#f0f3f6", "#12181f")),
    "rule": Role("", "#8890a0", "dim", " ", Paint("#ffffff", "#98a0b0"), Paint("#ffffff", "#58626e")),
    # The map beside a grid that is being refined; none of these is like one of the ten.
    "settled": Role("", "#282e38", "dim", " ", Paint("#1f2328", "#e0e0f0"), Paint("#f0f3f6", "#2b3440")),
    "doubted": Role("unsure", "magenta", "italic", "?", Paint("#1f2328", "#b890e8"), Paint("#0f1419", "#9a6fd8")),
    "redrawn": Role("changed", "bright_white", "bold", "*", Paint("#ffffff", "#301860"), Paint("#0f1419", "#f0f3f6")),
}
AREAS = MAZE | ARC
OUTSIDE = "wall"  # the role of what lies around a picture, where an edge is drawn
CHANGES = ("changed", "former", "redrawn")  # the roles that tell where this step differs from the one before


@dataclass(frozen=True, slots=True)
class Page:
    """The colours around the cells."""

    paper: str
    ink: str
    faint: str  # secondary text
    thin: str  # lines between cells
    thick: str  # lines between boxes
    haze: str  # doubt: the colour behind a cell without any confidence
    good: str
    bad: str
    track: str  # the empty part of a bar


LIGHT = Page("#ffffff", "#1f2328", "#59636e", "#d5dae0", "#4b5563", "#dccbfa", "#14693c", "#b3141d", "#e3e7eb")
DARK = Page("#0f1419", "#e6edf3", "#9aa5b1", "#2f3843", "#8b98a5", "#4a3672", "#57d39a", "#ff9c99", "#2a323c")

SURE = 0.95  # from this confidence on, an answer is drawn at full strength
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def looks(picture: Picture) -> dict[str, Role]:
    """The table that the roles of this picture are looked up in."""
    return AREAS if picture.solid else ROLES


def terminal_style(cell: Cell, colour: bool) -> str:
    """The Rich style of a cell. A terminal has no shades to rely on, so doubt is one level of `dim`."""
    role = ROLES[cell.role]
    if not colour:
        return role.plain
    faded = role.doubtful and not role.italic and cell.confidence < SURE  # two weakenings at once are hard to read
    return f"dim {role.colour}" if faded else role.colour


def haze(cell: Cell, table: dict[str, Role] = ROLES) -> float:
    """How much of the page's haze lies behind a cell: 0 (sure) to 1."""
    return min(max(1.0 - cell.confidence, 0.0), 1.0) if table[cell.role].doubtful else 0.0


def paint(name: str, page: Page, table: dict[str, Role] = ROLES) -> Paint:
    """Ink and fill of a role on a page."""
    return table[name].dark if page is DARK else table[name].light


def sample(name: str, table: dict[str, Role] = ROLES) -> Cell:
    """The cell that stands for a role in a legend."""
    role = table[name]
    if table is AREAS:
        return Cell(role.mark if role.letter else "", name)
    return Cell("a", name, 0.4 if role.doubtful and role.italic else 1.0)


def mix(a: str, b: str, share: float) -> str:
    """The hex colour `share` of the way from a to b."""
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in pairs)


def in_legend_order(roles: Iterable[str], table: dict[str, Role] = ROLES) -> list[str]:
    """Those of the given roles that a legend explains, in the order of the table."""
    present = set(roles)
    return [name for name, role in table.items() if name in present and role.word]
