"""How long each phone lasts, as phones become known."""

from dataclasses import dataclass, field
from typing import Protocol


class Timer(Protocol):
    """What reading asks of ``OnnxTiming``, or of what stands for it."""

    @property
    def look_ahead(self) -> int: ...

    @property
    def look_back(self) -> int: ...

    def seconds(self, phones: list[int]) -> list[float]:
        """Durations of ``phones`` in seconds."""
        ...


@dataclass
class TimingReader:
    """Reads a growing phone sequence and gives durations once they can no longer change."""

    model: Timer
    phones: list[int] = field(default_factory=list)
    done: int = 0
    finished: bool = False

    def read(self) -> list[tuple[int, float]]:
        """New ``(index into phones, seconds)`` pairs, in order."""
        ready = len(self.phones) if self.finished else len(self.phones) - self.model.look_ahead
        if ready <= self.done:
            return []
        start = max(0, self.done - self.model.look_back)
        seconds = self.model.seconds(self.phones[start:])
        found = [(index, seconds[index - start]) for index in range(self.done, ready)]
        self.done = ready
        return found
