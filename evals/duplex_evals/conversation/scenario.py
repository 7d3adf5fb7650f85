"""What a test conversation consists of: a timeline of sounds whose place is known to the sample.

A scenario is data: YAML in, YAML out, checked against this schema. It says when the user speaks,
in which clip, what else is to be heard, and what a good agent does about it. Truth comes from
placing, never from listening: a clip is trimmed to its own speech before it is placed.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from duplex_evals.errors import ScenarioError

Family = Literal[
    "pause_handling",
    "smooth_turn",
    "user_interruption",
    "user_backchannel",
    "vocal_tic",
    "third_party",
    "background_speech",
    "agent_backchannel",
    "silence",
    "long_monologue",
    "correction",
    "memory",
    "question",
    "custom",
]
Kind = Literal[
    "turn", "interruption", "backchannel", "vocal_tic", "third_party", "background", "noise"
]
Expect = Literal["reply", "stop", "continue", "ignore", "backchannel", "anything"]
Voice = Literal["synthetic", "human"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Clip(_Strict):
    """One sound. Exactly one source: ``text`` spoken by ``voice``, or ``file``.

    ``voice`` names a held-out synthetic voice. ``file`` is ``pool:name`` (``pools.py``), a
    path, or ``noise:name`` (``noises.py``, ``end_s`` long). ``start_s``/``end_s`` cut the
    source before it is trimmed to its energy. ``text`` beside ``file`` is what is said in it.
    """

    text: str = ""
    voice: str = ""
    file: str = ""
    start_s: float = Field(default=0.0, ge=0)
    end_s: float | None = None
    gain_db: float = Field(default=0.0, ge=-60, le=20)
    speed: float = Field(default=1.0, ge=0.5, le=2.0)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.voice) == bool(self.file):
            raise ValueError("a clip needs either voice (with text) or file")
        if self.voice and not self.text.strip():
            raise ValueError("a synthetic clip needs text")
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError("end_s must be after start_s")
        return self


class Part(_Strict):
    """A clip and the silence before it, inside one item: how pauses within a turn are made."""

    clip: Clip
    gap_ms: int = Field(default=0, ge=0, le=20_000)


class Anchor(_Strict):
    """When an item begins: ``delay_ms`` after ``to``.

    ``start`` is the conversation's beginning; ``item_end`` the end of the item named ``item``;
    ``agent_onset`` and ``agent_end`` are the agent's next audible onset or end after that item's
    end, as a live listener hears them; an agent that speaks across that end counts as an onset
    there. When the agent does not do so within ``timeout_ms``, the item is not placed and the
    case says so.
    """

    to: Literal["start", "item_end", "agent_onset", "agent_end"] = "start"
    item: str = ""
    delay_ms: int = Field(default=0, ge=0, le=600_000)
    timeout_ms: int = Field(default=8_000, ge=0, le=120_000)


class Item(_Strict):
    """Something heard on the user's channel, and what a good agent does about it."""

    name: str
    kind: Kind
    expect: Expect
    parts: Annotated[list[Part], Field(min_length=1)]
    anchor: Anchor = Anchor()
    filter: Literal["none", "third_party", "background", "telephone"] = "none"
    answers: list[str] = []  # any of these words in the reply makes it right (lower case)

    @property
    def text(self) -> str:
        return " ".join(part.clip.text for part in self.parts if part.clip.text)


class Echo(_Strict):
    """The agent's own voice coming back into the microphone."""

    delay_ms: int = Field(ge=0, le=1000)
    gain_db: float = Field(ge=-60, le=6)


class Conditions(_Strict):
    """What the whole user channel goes through."""

    snr_db: float | None = None
    noise: str = "noise:white"
    reverb_s: float = Field(default=0.0, ge=0, le=2.0)  # RT60 of the simulated room
    telephone: bool = False
    loss: float = Field(default=0.0, ge=0, lt=1)  # share of 20 ms packets lost
    concealment: Literal["repeat", "zero"] = "repeat"  # what fills a lost packet
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    echo: Echo | None = None


class Scenario(_Strict):
    """One test conversation. ``id`` is unique in its suite; ``tail_s`` follows the last item."""

    id: str
    family: Family
    subtype: str = ""
    voice: Voice = "synthetic"
    seed: int = 0
    items: list[Item] = []
    tail_s: float = Field(default=6.0, ge=0, le=600)
    max_s: float = Field(default=120.0, gt=0, le=4000)
    conditions: Conditions = Conditions()
    instructions: str = ""  # a system prompt that the target is asked to use, where it can

    @model_validator(mode="after")
    def _anchors_exist(self) -> Self:
        seen: set[str] = set()
        for item in self.items:
            if item.name in seen:
                raise ValueError(f"two items are called {item.name!r}")
            if item.anchor.to != "start" and item.anchor.item not in seen:
                raise ValueError(f"item {item.name!r} is anchored to an unknown earlier item")
            seen.add(item.name)
        return self


def read_scenarios(path: Path) -> list[Scenario]:
    """Scenarios of a YAML file, a list or one mapping. Raises ScenarioError with the field."""
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {str(error).splitlines()[0]}") from error
    rows = data if isinstance(data, list) else [data]
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(Scenario.model_validate(row))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ScenarioError(f"{path}: scenario {number}: {place}: {first['msg']}") from error
    return found


def write_scenarios(path: Path, scenarios: list[Scenario]) -> None:
    """Store ``scenarios`` as a YAML list that ``read_scenarios`` gives back unchanged."""
    rows = [s.model_dump(mode="json", exclude_defaults=True) for s in scenarios]
    path.write_text(yaml.safe_dump(rows, sort_keys=False, allow_unicode=True), "utf-8")
