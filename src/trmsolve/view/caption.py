"""What is said beside a picture, in words: the same sentences for every view."""

from __future__ import annotations

from trmsolve.view.frame import Frame


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
    if not frame.solved:
        n = frame.violations
        return "not solved" if brief or not n else f"not solved: {n} rule{'' if n == 1 else 's'} broken"
    return f"solved at step {frame.step}" + (f" of restart {frame.run}" if frame.run and not brief else "")


def state(frame: Frame) -> str:
    """How it ended or, before that, how far it is."""
    return verdict(frame) or f"step {step(frame)}"


def details(frame: Frame) -> str:
    """What the state leaves out, on one line."""
    n = frame.violations
    broken = f"{n} rule{'' if n == 1 else 's'} broken" if n else "all rules hold" if frame.solved else "no rule broken"
    return " · ".join((broken, run(frame), duration(frame.seconds)))


def sentence(frame: Frame) -> str:
    """Everything on one line, for summaries and for readers of pictures who cannot see them."""
    return f"{state(frame)} · halting probability {percent(frame.halt_probability)} · {details(frame)}"


def printable(text: str) -> str:
    """User text without control characters: a file may be named with the escape code that clears the screen."""
    return "".join(c if c.isprintable() else "?" for c in text)


def shorten(text: str, length: int) -> str:
    """The text in at most `length` characters; the end is kept, since paths and line numbers differ there."""
    return text if len(text) <= length else "…" + text[len(text) - max(length, 1) + 1 :]
