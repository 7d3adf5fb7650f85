"""What a metric measures in one conversation, before anything is averaged."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A named definition. ``definition`` is the sentence that a report prints.

    ``kind``: "share" is a proportion of events and hidden below ten of them; "ratio" is a sum over
    a sum, one part of each from every conversation; "time" is a distribution whose ``points`` are
    reported as percentiles. ``ability`` names what an agent must claim, "" for none.
    """

    name: str
    definition: str
    kind: Literal["share", "ratio", "time"]
    unit: str
    points: tuple[int, ...] = (50, 90, 95)
    ability: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One event, or one conversation's part of a ratio: ``value`` out of ``per``.

    ``censored``: the event had not happened by ``value``, when it could be watched no longer.
    A ``value`` of infinity never happens.
    """

    metric: str
    value: float
    per: float = 1.0
    censored: bool = False


def share(metric: str, happened: bool) -> Observation:
    """One event of a proportion."""
    return Observation(metric, float(happened))
