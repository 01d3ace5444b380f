"""The style of each role in every view: one table per kind of picture.

Roles differ in colour and also without it: by weight, slant, a line or, if a view has none of these, a mark after the
symbol. Terminals use their named colours; files use hex colours for a light and a dark page, with sufficient contrast
(WCAG AA, tested).

Pictures whose cells are areas of colour (mazes, ARC) have their own tables: all fills are distinct, also to
colour-blind readers (tested), and few cells have symbols. A new task adds its roles as rows here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trmsolve.tasks.base import Cell, Picture


@dataclass(frozen=True, slots=True)
class Colors:
    """Hex colours of one role on one kind of page; `fill` "": the page's own."""

    ink: str
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """One row of a table."""

    word: str  # its name in legends; "": needs no explanation
    color: str  # Rich style on a terminal with colours
    plain: str  # Rich style without colours
    mark: str  # character after the symbol where there are no colours; " " for none
    light: Colors
    dark: Colors
    bold: bool = False
    italic: bool = False
    underline: bool = False
    corner: bool = False  # a filled corner in the cell
    shaded: bool = False  # the less confidence, the darker the shade behind the symbol
    letter: bool = False  # solid pictures: the cell keeps its symbol
    tile: bool = False  # solid pictures: every cell has an outline, so that cells can be counted


def _role(word: str, color: str, plain: str, mark: str, light: str, dark: str, **flags: bool) -> Role:
    """A row of a table. light, dark: ink and fill."""
    return Role(word, color, plain, mark, Colors(*light.split()), Colors(*dark.split()), **flags)


ROLES: dict[str, Role] = {
    "given": _role("given", "bold", "bold", "'", "#1f2328 #eef0f3", "#f0f3f6 #21272f", bold=True),
    "answer": _role("settled", "green", "", " ", "#12653a", "#57d39a", shaded=True),
    "changed": _role(
        "changed", "bold bright_white on blue", "reverse", "*", "#0b4fc4 #d6e6ff", "#a5cdff #173d73", underline=True
    ),
    "unsure": _role("unsure", "italic magenta", "dim italic", "?", "#6b35b8", "#c9a8ff", italic=True, shaded=True),
    "conflict": _role(  # a corner and not a line through the symbol: a struck 6 reads as an 8
        "conflict",
        "bold underline red",
        "bold underline",
        "!",
        "#b3141d #ffdcdc",
        "#ff9c99 #551c20",
        bold=True,
        corner=True,
    ),
    "blank": _role("", "dim", "dim", " ", "#6a737d", "#8b949e"),
}

# Solid pictures. `color` is the area's colour on a terminal: a name, INK, or "" for the terminal's own background.
# The light fills are multiples of eight, which a GIF shows unchanged.
INK = "dim"  # the terminal's own text colour, dimmed: no named grey is visible on every background

MAZE: dict[str, Role] = {
    "wall": _role("", INK, "dim", " ", "#ffffff #485060", "#ffffff #5d6874"),
    "floor": _role("", "", "", " ", "#1f2328 #ffffff", "#f0f3f6 #12181f"),
    "start": _role("start", "yellow", "bold", "S", "#1f2328 #f0b008", "#1f2328 #f0b429", bold=True, letter=True),
    "goal": _role("goal", "red", "bold", "G", "#ffffff #d03030", "#ffffff #d6363c", bold=True, letter=True),
    "path": _role("path", "blue", "bold", "o", "#ffffff #1860c8", "#0f1419 #2f7bea"),
    "changed": _role("new", "cyan", "reverse", "*", "#1f2328 #88d0f8", "#0f1419 #b4e6ff"),
    "unsure": _role("unsure", "magenta", "italic", "?", "#1f2328 #b080e0", "#0f1419 #bb92ee"),
    "former": _role("former", "", "", " ", "#1f2328 #e0e8f0", "#f0f3f6 #27303b"),
}


def _tile(fill: str, ink: str, terminal: str = "") -> Role:
    """A colour that is part of the question, so the same on every page. terminal: what terminals get instead."""
    return _role("", terminal or fill, "none", " ", f"{ink} {fill}", f"{ink} {fill}", tile=True)


# ARC's ten usual colours, shifted just enough that no two look alike to the colour-blind or on a terminal of sixteen
# colours, to which Rich reduces them; and the background between the grids of one picture.
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
    "mat": _role("", "#404858", "none", " ", "#1f2328 #ffffff", "#f0f3f6 #12181f"),
    "rule": _role("", "#8890a0", "dim", " ", "#ffffff #98a0b0", "#ffffff #58626e"),
    # The change map beside a grid that is being refined; none of these resembles one of the ten.
    "settled": _role("", "#282e38", "dim", " ", "#1f2328 #e0e0f0", "#f0f3f6 #2b3440"),
    "doubted": _role("unsure", "magenta", "italic", "?", "#1f2328 #b890e8", "#0f1419 #9a6fd8"),
    "redrawn": _role("changed", "bright_white", "bold", "*", "#ffffff #301860", "#0f1419 #f0f3f6"),
}
SOLID_ROLES = MAZE | ARC
OUTSIDE = "wall"  # the role of the edge around a picture
CHANGES = ("changed", "former", "redrawn")  # the roles of cells that differ from the step before


@dataclass(frozen=True, slots=True)
class PageColors:
    """The colours around the cells."""

    paper: str
    ink: str
    faint: str  # secondary text
    thin: str  # lines between cells
    thick: str  # lines between boxes
    shade: str  # behind a cell of confidence 0
    good: str
    bad: str
    track: str  # the empty part of a bar


LIGHT = PageColors("#ffffff", "#1f2328", "#59636e", "#d5dae0", "#4b5563", "#dccbfa", "#14693c", "#b3141d", "#e3e7eb")
DARK = PageColors("#0f1419", "#e6edf3", "#9aa5b1", "#2f3843", "#8b98a5", "#4a3672", "#57d39a", "#ff9c99", "#2a323c")

SURE = 0.95  # from this confidence on, an answer is drawn at full strength
SHADE_STYLES = ("", "on color(236)", "on color(54)", "on color(90)")  # terminals: behind cells of falling confidence
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def role_table(picture: Picture) -> dict[str, Role]:
    """The table of the picture's roles."""
    return SOLID_ROLES if picture.solid else ROLES


def class_colors(page: PageColors, table: dict[str, Role]) -> dict[str, str]:
    """The colour of everything in a drawing, by class; a role has its ink, and its fill as NAME-ground."""
    colors = {"heading": page.ink, "verdict": page.ink, "detail": page.faint, "bar": page.good, "frame": page.thin}
    colors |= {name: getattr(page, name) for name in ("paper", "good", "bad", "shade", "track", "thin", "thick")}
    for name in table:
        look = page_colors(name, page, table)
        colors |= {name: look.ink, **({f"{name}-ground": look.fill} if look.fill else {})}
    return colors


def terminal_style(cell: Cell, color: bool) -> str:
    """The Rich style of a cell of a table. Low confidence is one level of `dim`: few terminals have more shades."""
    role = ROLES[cell.role]
    if not color:
        return role.plain
    faded = role.shaded and not role.italic and cell.confidence < SURE  # dim italic is hard to read
    return f"dim {role.color}" if faded else role.color


def confidence_shade(cell: Cell, table: dict[str, Role] = ROLES) -> float:
    """How much of the page's shade colour lies behind a cell: 0 (certain) to 1."""
    return min(max(1.0 - cell.confidence, 0.0), 1.0) if table[cell.role].shaded else 0.0


def page_colors(name: str, page: PageColors, table: dict[str, Role] = ROLES) -> Colors:
    """Ink and fill of a role on a page."""
    return table[name].dark if page is DARK else table[name].light


def role_styles(role: Role) -> list[str]:
    """The CSS of a role besides its colours."""
    styles = ["font-weight:700"] * role.bold + ["font-style:italic"] * role.italic
    return styles + ["text-decoration:underline"] * role.underline


def legend_cell(name: str, table: dict[str, Role] = ROLES) -> Cell:
    """The cell that represents a role in a legend."""
    role = table[name]
    if table is SOLID_ROLES:
        return Cell(role.mark if role.letter else "", name)
    return Cell("a", name, 0.4 if role.shaded and role.italic else 1.0)


def legend_roles(roles: Iterable[str], table: dict[str, Role] = ROLES) -> list[str]:
    """Those of the given roles that a legend explains, in the order of the table."""
    present = set(roles)
    return [name for name, role in table.items() if name in present and role.word]


def mix(a: str, b: str, share: float) -> str:
    """The hex colour `share` of the way from a to b."""
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in pairs)
