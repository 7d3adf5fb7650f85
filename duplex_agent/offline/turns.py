"""Events folded into one row per turn: what was understood, answered, heard, and how fast."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from duplex_agent.duplex.events import Event


@dataclass
class TurnRow:
    """One user turn and its reply. Times on the session timeline, ms; None where none."""

    user: str
    user_end_ms: int
    agent: str = ""
    heard: str = ""
    reply_ms: int | None = None
    response_ms: int | None = None
    status: str = "no reply"


class TurnLog:
    """Collects the events of a conversation."""

    def __init__(self) -> None:
        self.rows: list[TurnRow] = []
        self.compute_ms: list[float] = []
        self.speaking_ms: list[float] = []  # compute of the ticks in which the agent had the floor
        self._speaking = False

    def add(self, events: Iterable[Event]) -> None:
        """Take one tick's events."""
        for event in events:
            self._take(event.type, event.at_ms, event.data)

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(row) for row in self.rows]

    def table(self) -> Table:
        """The rows for a terminal."""
        table = Table(title="turns")
        for column in ("#", "user", "agent", "response", "status"):
            table.add_column(column, overflow="fold", justify="right" if column == "#" else "left")
        for number, row in enumerate(self.rows, 1):
            response = "-" if row.response_ms is None else f"{row.response_ms} ms"
            agent = (
                row.agent if row.heard == row.agent.strip() else f"{row.agent}\nheard: {row.heard}"
            )
            table.add_row(str(number), row.user or "(nothing)", agent, response, row.status)
        return table

    def _take(self, type_: str, at_ms: int, data: dict[str, Any]) -> None:
        if type_ == "user.turn_ended":
            self.rows.append(TurnRow(data["text"], data["end_ms"]))
        elif type_ == "reply.started":
            self.rows[-1].reply_ms = at_ms
            self.rows[-1].response_ms = data["response_ms"]
            self.rows[-1].status = "speaking"
        elif type_ == "reply.text.delta":
            self.rows[-1].agent += data["text"]
        elif type_ == "reply.done":
            self.rows[-1].heard = data["heard_text"]
            self.rows[-1].status = data["status"]
        elif type_ == "floor.changed":
            # from the first thought on: reading the turn's end is a reply's heaviest tick
            self._speaking = data["floor"] == "replying"
        elif type_ == "tick.compute":
            self.compute_ms.append(data["compute_ms"])
            if self._speaking:
                self.speaking_ms.append(data["compute_ms"])
