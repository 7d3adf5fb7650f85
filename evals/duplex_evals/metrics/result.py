"""One number of a report, with its definition, count and confidence interval."""

from dataclasses import dataclass, field
from typing import Final

ALL: Final = ""  # a result over every family, subtype or voice


@dataclass(frozen=True, slots=True)
class Result:
    """One number of a report.

    ``name`` is its key, the same in every run; ``definition`` says in one sentence what was
    counted and how. ``family``, ``subtype`` and ``voice`` say over which conversations, ``ALL``
    over all. ``value`` None prints N/A, and ``note`` says why: the ability is not there, nothing
    such happened, or too little did. ``low`` and ``high`` bound the 95 % bootstrap interval, None
    where there is none. ``n`` counts what was averaged. ``unit``: "ms", "share", "per min", "".
    """

    name: str
    definition: str
    family: str = ALL
    subtype: str = ALL
    voice: str = ALL
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Every result of a run. ``samples``: result name -> single values, for histograms (ms)."""

    results: list[Result]
    samples: dict[str, list[float]] = field(default_factory=dict)

    def get(self, name: str, family: str = ALL, subtype: str = ALL, voice: str = ALL) -> Result:
        """The result of that name over those conversations. Raises KeyError."""
        for result in self.results:
            place = (result.family, result.subtype, result.voice)
            if result.name == name and place == (family, subtype, voice):
                return result
        raise KeyError(f"{name} over {family or 'all'}/{subtype or 'all'}/{voice or 'all'}")
