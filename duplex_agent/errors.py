"""Typed errors. Each message is one line that says what is wrong and what to do."""


def reason(error: OSError) -> str:
    """What the system says was wrong, such as "no such file or directory"."""
    return error.strerror.lower() if error.strerror else str(error)


class DuplexError(Exception):
    """Base of every error the project raises on purpose."""


class AudioError(DuplexError):
    """Sound that cannot be used: not audio, empty, too long, NaN, wrong shape or rate."""


class AssetError(DuplexError):
    """A pretrained part is missing, has the wrong hash, or could not be fetched or stored."""


class CheckpointError(DuplexError):
    """A weight file is missing, corrupt, of another shape, or holds NaN."""


class TextError(DuplexError):
    """Text that cannot be spoken or understood."""


class ThinkerError(DuplexError):
    """The language model cannot be loaded, or cannot take what it was given."""


class ContextFull(ThinkerError):
    """A conversation has no room left for the positions that should be appended."""


class LlmError(DuplexError):
    """The text of a reply cannot be had from where it should come."""


class SnapshotError(DuplexError):
    """A snapshot is broken, or of a version or model that cannot go on with it."""


class SpecError(DuplexError):
    """A setting of the agent is unknown, out of range, or contradicts another."""


class TrainingError(DuplexError):
    """A recipe cannot start or go on: unknown name, no data, diverged loss."""


class SlotsBusy(DuplexError):
    """Every slot of the worker is taken."""


class WorkerDied(DuplexError):
    """The worker process ended while it was needed."""


class SessionBroken(DuplexError):
    """One conversation ended with an error inside a worker that lives on."""


class GatewayError(DuplexError):
    """The server cannot start: port in use, unsuitable library version, address not available."""


REFUSALS = {e.__name__: e for e in (AudioError, ContextFull, SnapshotError, TextError)}
"""What a client can do wrong without harm to the conversation, by name on the wire."""
