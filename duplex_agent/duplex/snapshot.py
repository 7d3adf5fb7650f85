"""A conversation as a few kilobytes: what another worker needs to go on with it."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from duplex_agent.errors import SnapshotError
from duplex_agent.llm.protocol import TurnPair

VERSION: Final = 1


class Snapshot(BaseModel):
    """What was said and is remembered, as text, and the settings that were changed on the way.

    ``model`` names the LLM that remembers; ``reply_id`` is that of the latest reply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    model: str
    instructions: str
    pairs: list[TurnPair]
    reply_id: int

    @classmethod
    def read(cls, text: str, model: str) -> Self:
        """The snapshot in ``text``, if ``model`` can go on with it.

        Raises SnapshotError for what is no snapshot, another version or another model.
        """
        try:
            snapshot = cls.model_validate_json(text)
        except ValidationError as error:
            raise SnapshotError(
                f"this is no snapshot of a conversation: {_first(error)}"
            ) from error
        if snapshot.version != VERSION:
            raise SnapshotError(
                f"a snapshot of version {snapshot.version}; this worker reads version {VERSION}"
            )
        if snapshot.model != model:
            raise SnapshotError(f"a snapshot of {snapshot.model}; this worker runs {model}")
        return snapshot


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}" if place else str(found["msg"])
