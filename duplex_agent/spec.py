"""What an agent is made of: one record from the command line to the worker.

Made once, from flags and environment; it travels to the worker as JSON, and is what ``/readyz``,
the reports and the page show. A field added here is an option of ``serve`` and ``talk`` at once.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from duplex_agent.clock import TICK_MS
from duplex_agent.duplex.floor import FloorConfig
from duplex_agent.errors import LlmError, SpecError
from duplex_agent.llm.remote.endpoint import DEFAULT_TIMEOUT_S, Endpoint, api_key

LOOK_AHEADS_MS: Final = (80, 160, 320)


def _pairs(value: Any) -> Any:
    """Floor settings from ``name=value,name=value``, as the command line gives them."""
    if not isinstance(value, str):
        return value
    if not all("=" in part for part in value.split(",")):
        raise ValueError("give settings as name=value,name=value")
    return dict(part.strip().split("=", 1) for part in value.split(","))


class AgentSpec(BaseModel):
    """Every choice that makes one agent differ from another.

    Raises SpecError, with the name of the field, through ``of`` and ``from_json``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thinker: str = Field(
        default="smollm2-135m-instruct",
        min_length=1,
        description="local language model: a known name, a path or a hub name",
    )
    backend: Literal["onnx-int8", "onnx-fp32", "transformers"] = Field(
        default="onnx-int8", description="what runs the thinker"
    )
    device: Literal["cpu"] = Field(default="cpu", description="where the networks run")
    llm: str | None = Field(
        default=None,
        description="replies from a chat endpoint instead: its OpenAI-compatible URL, for"
        " example http://localhost:8080/v1; a key is read from OPENAI_API_KEY",
    )
    llm_model: str | None = Field(default=None, description="name of the model at the endpoint")
    llm_timeout: float = Field(
        default=DEFAULT_TIMEOUT_S, description="longest wait for its next text, in seconds"
    )
    look_ahead: int = Field(
        default=320,
        description="look-ahead of the ear in ms (80, 160 or 320): less is faster and less"
        " accurate",
    )
    tokens: Literal["words", "12.5hz", "6.25hz"] = Field(
        default="words",
        description="what the thinker is told of speech: words, or the neural adapter's tokens",
    )
    instructions: str = Field(default="", description="system prompt, instead of the built-in one")
    floor: Annotated[FloorConfig, BeforeValidator(_pairs)] = Field(
        default=FloorConfig(),
        description="turn-taking settings, as end_silence_ms=700, barge_in_ms=320",
    )
    voice_speed: float = Field(
        default=1.0, ge=0.8, le=1.25, description="speaking rate; 1.25 is a quarter faster"
    )
    seed: int = Field(default=0, ge=0, description="seed of everything random")

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """A spec of ``settings``; SpecError in one line that names the field."""
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise SpecError(_one_line(error)) from error

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The spec that ``model_dump_json`` wrote; SpecError as ``of``."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise SpecError(_one_line(error)) from error

    @property
    def look_ahead_ticks(self) -> int:
        """How far the ear hears ahead."""
        return self.look_ahead // TICK_MS

    @property
    def model(self) -> str:
        """The language model that writes the replies, by name."""
        return self.thinker if self.llm_model is None else self.llm_model

    @property
    def endpoint(self) -> Endpoint | None:
        """The chat endpoint that writes the replies, None for the thinker."""
        if self.llm is None:
            return None
        return Endpoint(self.llm, self.llm_model or "", self.llm_timeout)

    @field_validator("look_ahead")
    @classmethod
    def _trained(cls, value: int) -> int:
        if value not in LOOK_AHEADS_MS:
            raise ValueError("the ear was trained for 80, 160 and 320 ms")
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.llm is None:
            if self.llm_model is not None:
                raise ValueError("llm_model: --llm-model needs --llm: the URL that runs it")
            return self
        if self.tokens != "words":
            raise ValueError(f"tokens: a chat endpoint reads words: no {self.tokens} with --llm")
        try:
            _ = self.endpoint
            api_key()
        except LlmError as error:
            raise ValueError(f"llm: {error}") from error
        return self


def _one_line(error: ValidationError) -> str:
    """The first thing that is wrong, with its field."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{field}: no such setting"
    return f"{field}: {message}" if field else message
