"""Text formatting for all views and commands: percentages, durations, counts, line breaks."""

from __future__ import annotations

from collections.abc import Iterable


def percent(share: float) -> str:
    """A probability as a whole percentage. 99.6 % is shown as ">99 %": a halting head is never certain."""
    if 0.995 <= share < 0.9999:
        return ">99 %"
    return f"{round(100 * min(max(share, 0.0), 1.0))} %"


def duration(seconds: float) -> str:
    """A time span in a suitable unit: 12 ms, 3.4 s, 5 min 06 s, 7 h 08 min."""
    if seconds < 0.995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 rule", "2 rules"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def joined(parts: Iterable[str], dot: str = "·") -> str:
    """Parts of one line."""
    return f" {dot} ".join(parts)


def wrapped(parts: Iterable[str], length: int, dot: str = "·") -> list[str]:
    """The parts joined into lines of at most `length` characters; a longer part is shortened."""
    lines: list[list[str]] = []
    for part in parts:
        if lines and len(joined([*lines[-1], part], dot)) <= length:
            lines[-1].append(part)
        else:
            lines.append([part])
    return [shorten_start(joined(line, dot), length) for line in lines]


def shorten_start(text: str, length: int) -> str:
    """The text in at most `length` characters. The end is kept, because paths and line numbers differ there."""
    return text if len(text) <= length else "…" + text[len(text) - max(length, 1) + 1 :]
