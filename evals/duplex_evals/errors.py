"""Typed errors of the evaluation; the command line turns them into one line and an exit code."""

from duplex_agent.errors import DuplexError


class EvalError(DuplexError):
    """Base of every error the evaluation raises on purpose."""


class ScenarioError(EvalError):
    """A scenario that does not fit the schema, or whose timeline cannot be built."""


class ClipError(EvalError):
    """A clip that is missing, empty, or not sound. The message says what to install."""


class TargetError(EvalError):
    """The system under test cannot be reached or broke the protocol."""


class ResultError(EvalError):
    """Results that cannot be stored or read: full disk, corrupt or foreign file."""
