"""A progress bar for work on long audio."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from duplex_agent.clock import TICK_MS
from duplex_agent.terminal import Console

LONG_S: Final = 20  # work on more audio than this gets a bar


@contextlib.contextmanager
def progress(seconds: float) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr for long work; call the result once per tick."""
    columns = (
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=seconds < LONG_S)
    with bar:
        task = bar.add_task("", total=seconds)
        yield lambda: bar.advance(task, TICK_MS / 1000)
