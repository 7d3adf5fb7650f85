"""What positions of a cache mean, and what waits to become positions."""

from dataclasses import dataclass
from enum import Enum, auto

from duplex_agent.llm.protocol import Role, TurnPair
from duplex_agent.llm.requests import Rows


class Kind(Enum):
    PREFIX = auto()
    USER = auto()
    REPLY = auto()
    TEXT = auto()  # a turn that was written, not spoken


@dataclass(frozen=True, slots=True)
class Span:
    """Positions of the cache with one meaning, markup included; ``text`` is what they say."""

    kind: Kind
    positions: int
    text: str = ""
    role: Role | None = None  # of a turn of text


@dataclass
class Waiting:
    """Rows that wait to be read: turns, or another prefix where there are none."""

    rows: list[Rows]
    spans: tuple[Span, ...]

    @property
    def positions(self) -> int:
        return sum(len(rows) for rows in self.rows)

    def take(self, count: int) -> tuple[Rows, ...]:
        """The next ``count`` positions, fewer at the end."""
        taken: list[Rows] = []
        while self.rows and count > 0:
            piece = self.rows[0]
            taken.append(piece[:count])
            count -= len(piece)
            self.rows[0] = piece[len(taken[-1]) :]
            if not len(self.rows[0]):
                del self.rows[0]
        return tuple(taken)


def pair_of(turn: tuple[Span, ...]) -> TurnPair:
    """A turn, spoken or written, as what each side said."""
    texts = {"user": "", "agent": ""}
    for span in turn:
        of_user = span.kind is Kind.USER or span.role == "user"
        texts["user" if of_user else "agent"] = span.text
    return TurnPair(texts["user"], texts["agent"], turn[0].role)
