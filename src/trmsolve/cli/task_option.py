"""The task of a command: from its name, its file, or the header of a checkpoint."""

from __future__ import annotations

from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get, names, resolve_task
from trmsolve.tasks.base import Task


def task_for(spec: str | None, checkpoint: str | None) -> Task:
    """The task that --task names, or else that of --checkpoint, with the settings that the checkpoint keeps.

    A file runs only when `spec`, which the user typed, names it: a header can only name tasks that are installed.
    """
    if spec is None and checkpoint is None:
        raise TrmsolveError("no task given", "add --task NAME, --task FILE.py, or --checkpoint FILE")
    task = None if spec is None else resolve_task(spec)
    if task is not None and not task.learns_settings:
        return task
    from trmsolve.checkpoint import find

    if checkpoint is None:
        raise TrmsolveError(f"the task {spec} takes its settings from a trained checkpoint", "add --checkpoint FILE")
    header = find(checkpoint, None if task is None else task.name).header
    if task is None and header.task not in names():
        raise TrmsolveError(
            f"{checkpoint} is for the task '{header.task}', which is not installed",
            "add the file that defines it: --task FILE.py",
        )
    return get(header.task).with_settings(header.settings)
