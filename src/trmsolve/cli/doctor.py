"""trmsolve doctor"""

from __future__ import annotations

import json

from trmsolve.cli import options as o
from trmsolve.cli.run import ERROR, SOLVED, command, echo_err

SELF_TEST = "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"


@command
def doctor(as_json: o.AsJson = False) -> int:
    """Check versions, devices, the cache and checkpoints, and run a self-test.

    Exit code: 0 everything works, 2 something does not.
    """
    from trmsolve.doctor import diagnose

    checks = diagnose(_solve)
    if as_json:
        keys = ("name", "value", "status", "hint")
        print(json.dumps([{key: getattr(check, key) for key in keys} for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{check.status:<5} {check.name:<{width}}  {check.value}")
            if check.hint:
                echo_err(f"      {check.hint}")
    return ERROR if any(check.status == "fail" for check in checks) else SOLVED


def _solve() -> tuple[bool, str]:
    """Solve one puzzle with the bundled checkpoint."""
    from trmsolve.api import load

    result = next(load().solve([SELF_TEST]))
    how = f"{result.steps} steps, {result.restarts} restarts, {1000 * result.seconds:.0f} ms"
    return result.solved, f"solved and verified in {how}" if result.solved else f"not solved in {how}"
