"""Watching a build from a terminal: a bar for each stage."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from models.tables import BuildState

LOOK_SECONDS = 0.5


def watch(look: Callable[[], BuildState]) -> BuildState:
    """Show how far a build is until it is open or has failed; its last state."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("[yellow]{task.fields[detail]}")) as progress:
        state, stage, bar = look(), "", None
        while state.state in {"queued", "running"}:
            if bar is None or state.stage != stage:
                if bar is not None:
                    progress.update(bar, total=1, completed=1)
                stage = state.stage
                bar = progress.add_task(stage or "wait for the builder", total=None, detail="")
            progress.update(bar, total=state.total or None, completed=state.done, detail=state.detail)
            time.sleep(LOOK_SECONDS)
            state = look()
    return state
