"""Progress bars on the error stream, for whoever sits in front of a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bank_client.alignment import Progress, silent


@contextmanager
def bars(quiet: bool = False) -> Iterator[Progress]:
    """A progress callback that draws one bar for each kind of work; silent when `quiet` or when nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(file=sys.stderr, quiet=quiet or not sys.stderr.isatty())
    columns = (TextColumn("  {task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as drawn:
        tasks: dict[int, TaskID] = {}

        def show(what: str, done: int, of: int) -> None:
            if of not in tasks:
                tasks[of] = drawn.add_task(what, total=of)
            drawn.update(tasks[of], description=what, completed=done)
            if done >= of:
                drawn.remove_task(tasks.pop(of))

        yield show


@contextmanager
def shown(progress: Progress | bool | None) -> Iterator[Progress]:
    """What an estimator's `progress` stands for: True draws bars, a callback is called, anything else is silent."""
    if progress is True:
        with bars() as drawn:
            yield drawn
    else:
        yield progress or silent
