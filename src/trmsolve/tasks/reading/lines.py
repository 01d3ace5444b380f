"""What a line holds without the marks of the place it was copied from: a terminal, a program, LaTeX, a forum.

    clean('puzzle = \"\"\"53..7....')  ->  "53..7...."      clean(r"5 & 3 & & 7 \\\\ \\hline")  ->  "5 , 3 , , 7"
    clean("\\x1b[1m5\\x1b[0m3.")      ->  "53."            clean("[code]")                   ->  "```", a fence

Spaces that may be cells stay. Letters, signs and digits that only look wider or are of another script become ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

FENCE = "```"  # what stands around a puzzle and is no line of it

_UNMARKED = re.compile(r"[\d.#█,;_?SGEx\s-]*")  # nearly every line
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9])")  # colours of a terminal
_SET_OFF = (  # one digit in a style: of a terminal, of LaTeX
    re.compile(r"\x1b\[([\d;]*[1-9][\d;]*)m ?([1-9]) ?(?=\x1b\[)"),
    re.compile(r"\\(\w+(?:\{[^{}]*\})?)\{([1-9])\}"),
)
_TAG = re.compile(r"\s*\[/?(?:code|pre|tt|mono|spoiler|quote)(?:=[^\]]*)?\]", re.IGNORECASE)
_OPENED = re.compile(
    r"""[^"'`]{0,80}(?:[=(:\[]|\bin)\s*[a-zA-Z]?(\"{3}|'{3}|`)"""
)  # puzzle = \"\"\"   print(\"\"\"   const maze = `
_CLOSED = re.compile(r"""(\"{3}|'{3}|`)(?:\.\w+\([^)]*\))*[\s;,)\]]*$""")  # """.strip())
_JOINED = re.compile(r"""(\s*(["'])[^"']*\2)\s*[+.]?\s*\\?\s*$""")  # '53..7....' + \\
_LATEX_RULE = re.compile(r"\\(?:hline|toprule|midrule|bottomrule|cline\{[^}]*\}|\\(?:\[[^\]]*\])?)|\$\$?|\\[\[\]()]")
_LATEX_BLOCK = re.compile(r"\s*\\(?:begin|end)\{[^}]*\}(?:\[[^\]]*\]|\{[^}]*\})*")
_LATEX_ROW = re.compile(r"\s*\|(?:[^|]*\|){9}\.\s*")  # of the package sudoku
_LATEX_STYLE = re.compile(r"\\[a-zA-Z]+\{([^{}\\]*)\}")
_PREFIX = re.compile(  # grep -n, a list, a diff, 100 DATA 5,3,0
    r"[\w./-]+\.\w+:\d+:|\s*(?:[-*•]\s|\+)(?=[\d.]{6,25}\s*$)"
    r"|\s*(?:\d+\s+)?\.?[A-Za-z]{2,6}\s+(?=\d\d?(?:\s*,\s*\d\d?){3,}\s*;?\s*$)"
)
_FENCES = re.compile(r"""@@\s|\s*[\])}]{1,2}[;,]*\s*$|\s*"\#+;?\s*$|[^"]{1,40}\br\#+"$""")  # a diff, ]; r#" "#;
_ROW_NAME = re.compile(r"(\s*)(?:row|line)\s?(\d{1,2})\s*[:=]\s*(?=[^,]*(,?))", re.IGNORECASE)
_BOLD = re.compile(r"(\|\s*)\*\*(\w{1,2})\*\*(?=\s*\|)")
_R_LABEL = re.compile(r"\[,?(\d+),?\]")


def clean(text: str) -> str:
    """The line as a person would have typed it, or FENCE for a line that only marks where something begins or ends.

    Where some digits are in bold, in a colour or in another script, and others are not, these become (5).
    """
    if not text.isascii():
        if re.search("[1-9]", text):
            text = "".join(f"({mark})" if _is_other_digit(mark) else mark for mark in text)
        text = "".join(map(_ascii, text))
    if _UNMARKED.fullmatch(text) and not _PREFIX.match(text):
        return text
    if "\x1b" in text or "\\" in text:
        text = _with_marks(text)
    text = _ESCAPES.sub("", text)
    if (bare := _TAG.sub("", text)) != text:
        return bare if bare.strip() else FENCE
    if prefix := _PREFIX.match(text):
        return text[prefix.end() :]
    if _FENCES.match(text):
        return FENCE
    if "%2E" in text:
        text = text.replace("%2E", ".")
    text = _BOLD.sub(r"\1(\2)", _ROW_NAME.sub(r"\1\2:\3 ", text, count=1))
    if text.count("`") == 2 and (bare := text.strip())[:1] == bare[-1:] == "`":
        return bare[1:-1]
    if text.count("`") == 1 or '"""' in text or "'''" in text:
        return _without_quotes(text)
    if joined := _JOINED.fullmatch(text):
        return joined[1]
    if "\\" in text or " & " in text or _LATEX_ROW.fullmatch(text):
        return _without_latex(text)
    return _R_LABEL.sub(r" \1 ", text) if "[," in text or ",]" in text else text


def _with_marks(text: str) -> str:
    """The line with the digits that its first style sets off in brackets, where there are others."""
    for style in _SET_OFF:
        styled = style.findall(text)
        others = re.findall(r"\d", re.sub(r"\x1b\[[\d;]*m", "", style.sub("", text)))
        if styled and (others or len({name for name, _ in styled}) > 1):
            first = styled[0][0]
            text = style.sub(lambda found, first=first: f"({found[2]})" if found[1] == first else found[0], text)  # type: ignore[misc]
    return text


def _is_other_digit(mark: str) -> bool:
    return not mark.isascii() and unicodedata.digit(mark, None) is not None


def _without_quotes(text: str) -> str:
    """Without the quotes that begin or end a text of several lines in a program."""
    if _CLOSED.match(bare := text.strip()):
        return FENCE
    is_row_of_spaces = False
    if opened := _OPENED.match(text):
        bare = text[opened.end() :]
        is_row_of_spaces = len(bare) > 2 and bare.isspace()
    elif bare.startswith(('"""', "'''")):
        bare = bare[3:]
    else:
        bare = text
    closed = _CLOSED.search(bare)
    bare = bare[: closed.start()] if closed else bare
    return bare if bare.strip(" \\\t") or is_row_of_spaces else FENCE


def _without_latex(text: str) -> str:
    """A row of a tabular, a matrix or the sudoku package: fields between commas or bars."""
    bare = _LATEX_BLOCK.sub("", text)
    if bare != text and not bare.strip():
        return FENCE
    bare = _LATEX_STYLE.sub(r"\1", _LATEX_RULE.sub("", bare))
    if "&" in bare and ("\\" in text or re.fullmatch(r"[\d.\s&]+", bare)):
        bare = ",".join(bare.rstrip().split("&"))
    if _LATEX_ROW.fullmatch(bare):
        bare = bare.rstrip()[:-1]
    return bare if bare.strip() or not text.strip() else FENCE


@lru_cache(maxsize=4096)
def _ascii(mark: str) -> str:
    """A character of full width as ASCII, and a decimal digit of any script as that digit."""
    if "\uff01" <= mark <= "\uff5e":
        return chr(ord(mark) - 0xFEE0)
    if mark in "\u3000\u00a0":
        return " "
    digit = unicodedata.decimal(mark, None)
    return mark if digit is None else str(digit)
