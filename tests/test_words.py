"""The words of the source and of the documents: the field's terms in plain English.

FORBIDDEN lists phrases of the private language in which version 0.1 was written, each with what to write instead. They
are metaphors ("nobody", "goes on"), riddles ("the same of", "as published has it") or names for something that has a
standard name ("the published way": the baseline). A phrase is matched as whole words, in any case, also across lines.

docs/submissions has Kaggle's formats.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "trmsolve").rglob("*.py"))
DOCUMENTS = [
    ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/cli.md", "docs/checkpoints.md")
] + [
    ROOT / "docs" / f"{name}.md"
    for name in ("architecture", "training", "own-puzzles", "how-it-works", "results", "speed", "records")
]

FORBIDDEN = {
    "nobody": "say what happens instead: unused, unknown",
    "somebody": "the user, the data set",
    "so many": "name the number: N, at most N",
    "goes on": "continues",
    "going on": "continuing",
    "by heart": "memorised",
    "the published way": "the baseline, the published procedure",
    "from another side": "under another augmentation",
    "as asked for": "as requested",
    "asked for": "requested, required",
    "told apart": "distinct, distinguished",
    "punished": "penalised",
    "tries itself at": "attempts",
    "as people have it": "in common formats",
    "says of itself": "contains",
    "second pair of eyes": "reviewed",
    "cannot be had": "is not achievable",
    "learnt by heart": "memorised",
    "likeliest": "most probable",
    "hears": "receives messages from",
    "heir": "say what it is",
    "crew": "process group",
    "changes nothing": "has no effect (and then need not exist), identity",
}


@pytest.mark.parametrize("path", [*SOURCES, *DOCUMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_forbidden_words(path):
    text = path.read_text(encoding="utf-8")
    found = [
        f"line {text.count(chr(10), 0, match.start()) + 1}: '{phrase}', write: {instead}"
        for phrase, instead in FORBIDDEN.items()
        for match in re.finditer(r"[\s#]+".join(rf"\b{word}\b" for word in phrase.split()), text, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_stand_alone(path):
    """A docstring that begins with "The same" cannot be understood without its neighbour."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
    texts = [ast.get_docstring(node) or "" for node in nodes]
    assert not [text for text in texts if text.lower().startswith(("the same", "as above", "likewise"))]
