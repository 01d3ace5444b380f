"""Imports go downwards in the list of packages in docs/architecture.md."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "trmsolve"


def imported(tree: ast.AST) -> set[str]:
    """The modules that are imported, apart from those for annotations only."""
    names: set[str] = set()
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        nodes += ast.iter_child_nodes(node)
    return names


def test_imports_go_downwards():
    table = (ROOT / "docs" / "architecture.md").read_text().split("## Packages")[1].split("## ")[0]
    rows = [re.findall(r"(\w+)(?:/|\.py)", row.split("|")[1]) for row in table.splitlines() if row.startswith("| ")]
    level = {name: number for number, row in enumerate(rows) for name in row}
    assert level.keys() >= {"cli", "model", "errors"}
    upwards = []
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own.startswith("__"):
            continue
        assert own in level, f"{own} is missing in docs/architecture.md"
        for name in imported(ast.parse(path.read_text())):
            package, *rest = name.split(".")
            if package == "trmsolve" and level.get(rest[0], level[own]) < level[own]:
                upwards.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert upwards == []
