"""What people read on a terminal: text of users and models is shown, and never acts."""

from typing import Any

import rich.console
import typer
from rich.text import Text

from duplex_agent.printable import printable


class Console(rich.console.Console):
    """Rich's console for text of any origin.

    In what is printed, also in the cells of tables, neither markup nor emoji codes nor terminal
    escapes work, and nothing is coloured for what it looks like. Styled parts are ``Text``.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """As Rich's, with all its interpretation switched off."""
        lines = "\n".join(printable(line) for line in text.split("\n"))
        options |= {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(lines, **options)


def say_error(command: str, error: object) -> None:
    """One red line on stderr: the name of the command and what went wrong."""
    typer.secho(f"{command}: {printable(str(error))}", err=True, fg=typer.colors.RED)
