"""How the single measurements run from a shell: an expected error is one line, exit code 1."""

from collections.abc import Callable

import typer

from duplex_agent.errors import DuplexError
from duplex_agent.terminal import say_error


def run(main: Callable[..., None], name: str) -> None:
    """Call ``main`` with the command line's arguments; ``name`` stands before an error."""
    try:
        typer.run(main)
    except DuplexError as error:
        say_error(name, error)
        raise SystemExit(1) from error
