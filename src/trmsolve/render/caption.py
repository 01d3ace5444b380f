"""What is said beside a picture, in words: the same sentences for every view."""

from __future__ import annotations

from collections.abc import Iterable

from trmsolve.render.frame import Fact, Frame


def heading(frame: Frame) -> str:
    """Which puzzle this is."""
    return " ".join(printable(part) for part in (frame.task, frame.source) if part)


def step(frame: Frame) -> str:
    """Where in the recursion we are."""
    return f"{frame.step} of at most {frame.max_steps}"


def rules(frame: Frame) -> str:
    """How much the rules still object to."""
    if frame.violations == 0:
        return "all hold" if frame.solved else "none broken"
    return f"{frame.violations} still broken"


def run(frame: Frame) -> str:
    """Which attempt this is, and on what assumption."""
    attempt = f"restart {frame.run}" if frame.run else "plain recursion"
    return f"{attempt}, {printable(frame.open_guess)}" if frame.open_guess else attempt


def percent(share: float) -> str:
    """A probability as a whole percentage. 99.6 % is not "100 %": a halting head is never that sure."""
    if 0.995 <= share < 0.9999:
        return ">99 %"
    return f"{round(100 * min(max(share, 0.0), 1.0))} %"


def duration(seconds: float) -> str:
    """A span of time in the unit a person would choose."""
    if seconds < 0.995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def verdict(frame: Frame, brief: bool = False) -> str:
    """How it ended; "" while it has not. `brief` leaves out what stands elsewhere when all facts are listed."""
    if not frame.done:
        return ""
    if frame.words:
        return printable(frame.words.state)
    if not frame.solved:
        n = frame.violations
        return "not solved" if brief or not n else f"not solved: {n} rule{'' if n == 1 else 's'} broken"
    return f"solved at step {frame.step}" + (f" of restart {frame.run}" if frame.run and not brief else "")


def tone(frame: Frame) -> str:
    """Whether that is "good" or "bad"; "" while nobody can tell."""
    return "" if not frame.done or frame.solved is None else "good" if frame.solved else "bad"


def state(frame: Frame) -> str:
    """How it ended or, before that, how far it is."""
    return verdict(frame) or (printable(frame.words.state) if frame.words else f"step {step(frame)}")


def meter(frame: Frame) -> tuple[str, float]:
    """What the bar measures, and how full it is, 0 .. 1."""
    name, share = frame.words.meter if frame.words else ("halting", frame.halt_probability)
    return name, min(max(share, 0.0), 1.0)


def facts(frame: Frame) -> list[Fact]:
    """What there is to say by name, for a column beside the picture."""
    if frame.words:
        return [Fact(name, printable(value), good) for name, value, good in frame.words.facts]
    return [
        Fact("step", step(frame)),
        Fact("rules", rules(frame), not frame.violations),
        Fact("run", f"restart {frame.run}" if frame.run else "plain recursion"),
        Fact("guess", printable(frame.open_guess) or "none"),
        Fact("time", duration(frame.seconds)),
    ]


def details(frame: Frame) -> list[str]:
    """What the state leaves out, part by part."""
    if frame.words:
        return [f"{name} {value}" for name, value, _ in facts(frame)]
    n = frame.violations
    broken = f"{n} rule{'' if n == 1 else 's'} broken" if n else "all rules hold" if frame.solved else "no rule broken"
    return [broken, run(frame), duration(frame.seconds)]


def paragraph(frame: Frame, length: int) -> list[str]:
    """The details in lines of at most `length` characters; a puzzle's in one, whatever must be left out for that."""
    if frame.words is None:
        return [shorten(joined(details(frame)), length)]
    return wrapped(details(frame), length)


def sentence(frame: Frame) -> str:
    """Everything on one line, for summaries and for readers of pictures who cannot see them."""
    name, share = meter(frame)
    measured = f"{name if frame.words else 'halting probability'} {percent(share)}"
    return joined([state(frame), measured, *details(frame)])


def left(frame: Frame) -> int:
    """How much there is left to do: what a row of bars shows step by step."""
    return frame.words.unsure if frame.words else frame.violations


def history(frame: Frame) -> str:
    """What that row shows."""
    return "Unsure cells at each step" if frame.words else "Rules broken at each step"


def joined(parts: Iterable[str], dot: str = "·") -> str:
    """Parts of a line."""
    return f" {dot} ".join(parts)


def wrapped(parts: Iterable[str], length: int, dot: str = "·") -> list[str]:
    """The parts joined in lines of at most `length` characters; a part that alone is longer is shortened."""
    lines: list[list[str]] = []
    for part in parts:
        if lines and len(joined([*lines[-1], part], dot)) <= length:
            lines[-1].append(part)
        else:
            lines.append([part])
    return [shorten(joined(line, dot), length) for line in lines]


def printable(text: str) -> str:
    """User text without control characters: a file may be named with the escape code that clears the screen."""
    return "".join(c if c.isprintable() else "?" for c in text)


def shorten(text: str, length: int) -> str:
    """The text in at most `length` characters; the end is kept, since paths and line numbers differ there."""
    return text if len(text) <= length else "…" + text[len(text) - max(length, 1) + 1 :]
