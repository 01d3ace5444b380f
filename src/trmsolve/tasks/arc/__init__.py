"""ARC-AGI as a task: a few pairs of grids show a rule, and it is to be applied to further inputs.

Other tasks have one rule, which the model learns once; here every puzzle has its own, so that solving is training
(adapting/). What training needs of a task is here; how ARC is read, solved and shown, its own commands say.
"""

from __future__ import annotations

from typing import Any, ClassVar

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.encode import FACETS, KINDS, LABELS, VOCABULARY
from trmsolve.tasks.arc.samples import Data
from trmsolve.tasks.cellwise import Frame


class Arc:
    """The task, as far as training knows it (tasks/base.py)."""

    name = "arc"
    model: ClassVar[dict[str, Any]] = {
        "mixer": "scene",
        "facets": FACETS,
        "vocabulary": VOCABULARY,
        "options": LABELS,
        "kinds": len(KINDS),
        "width": 64,
        "hidden": 128,
        "n": 2,
        "N_sup": 6,
    }
    # Rows of the table are met seldom: large steps, and nothing that shrinks them. Every task has a solution.
    train: ClassVar[dict[str, Any]] = {"batch": 40, "puzzle_lr": 0.03, "puzzle_decay": 0.0, "solvable_weight": 0.0}
    mix = ("held_out", "rows_per_task", "most")
    data = Data.open

    def by_cells(self, frame: Frame) -> Any:
        """Raises TrmsolveError: the published networks for ARC know their tasks by rows of tables that are not ours."""
        raise TrmsolveError(
            "a network for ARC that takes a token for each cell can only be run step by step",
            "from Python: trmsolve.load(FILE).refine(tokens, puzzle_ids)",
        )


TASK = Arc()
