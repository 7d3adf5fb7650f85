"""Limits that a run must keep, in YAML, for continuous integration.

A gate file is a list::

    - result: response_latency_p50
      max: 1500
    - result: yield_rate_2s
      family: user_interruption
      min: 0.9

``result`` with optional ``family``, ``subtype`` and ``voice`` names one result of the report;
``min`` and ``max`` bound its value. A result that is N/A fails its gate unless ``optional: true``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from duplex_evals.errors import EvalError
from duplex_evals.metrics.result import Summary


class GateError(EvalError):
    """A gate file that cannot be read or names no result of the report."""


class Gate(BaseModel):
    """One limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    result: str = Field(validation_alias=AliasChoices("result", "figure"))  # once called figure
    family: str = ""
    subtype: str = ""
    voice: str = ""
    min: float | None = None
    max: float | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min or max")
        return self


@dataclass(frozen=True)
class Verdict:
    """Whether a gate held. ``text`` is one line for people."""

    passed: bool
    text: str


def read_gates(path: Path) -> list[Gate]:
    """The gates of a YAML file. Raises GateError naming the entry that is wrong."""
    try:
        rows = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise GateError(f"{path}: {str(error).splitlines()[0]}") from error
    if not isinstance(rows, list):
        raise GateError(f"{path}: a gate file is a list")
    gates = []
    for number, row in enumerate(rows):
        try:
            gates.append(Gate.model_validate(row))
        except ValidationError as error:
            raise GateError(f"{path}: gate {number}: {error.errors()[0]['msg']}") from error
    return gates


def judge(gates: list[Gate], summary: Summary) -> list[Verdict]:
    """Every gate against the report. Raises GateError for a result that the report lacks."""
    return [_judge(gate, summary) for gate in gates]


def _judge(gate: Gate, summary: Summary) -> Verdict:
    try:
        result = summary.get(gate.result, gate.family, gate.subtype, gate.voice)
    except KeyError as error:
        raise GateError(f"the report has no result {error.args[0]}") from error
    name = "/".join(part for part in (gate.result, gate.family, gate.subtype, gate.voice) if part)
    if result.value is None:
        return Verdict(gate.optional, f"{name}: N/A ({result.note or 'not measured'})")
    low = gate.min is None or result.value >= gate.min
    high = gate.max is None or result.value <= gate.max
    bounds = [f">= {gate.min:g}"] if gate.min is not None else []
    bounds += [f"<= {gate.max:g}"] if gate.max is not None else []
    return Verdict(low and high, f"{name}: {result.value:.4g}, wanted {' and '.join(bounds)}")
