"""What is measured: one ear, one thinker, their settings, and the keys of the stored rows."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from duplex_agent.duplex.config import SessionConfig
from duplex_agent.ear.hearing import DEFAULT_LOOK_AHEAD, DEFAULT_TOKENS, TokenKind
from duplex_agent.ear.load import ADAPTER, WEIGHTS, load_ear
from duplex_agent.ear.streaming import StreamingEar
from duplex_agent.llm.chat import EXAMPLES
from duplex_agent.llm.load import DEFAULT_MODEL, load_thinker
from duplex_agent.llm.lora import DEFAULT_FILE
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker import Thinker
from duplex_agent.voice.voice import Voice, load_voice
from duplex_evals.errors import EvalError
from duplex_evals.understanding.asking import Asker


@dataclass(frozen=True)
class Subject:
    """Loads its parts when they are first needed: a finished run needs none of them.

    ``look_ahead`` in ticks, None for the ear's own; ``lora`` None for the bare language model;
    ``examples``: whether the example turn pairs stand before the conversation; ``tokens``: what the
    ear gives.
    """

    thinker_name: str = DEFAULT_MODEL
    lora: Path | None = DEFAULT_FILE
    examples: bool = True
    ear_weights: Path = WEIGHTS
    look_ahead: int | None = None
    tokens: TokenKind = DEFAULT_TOKENS

    @cached_property
    def ear(self) -> StreamingEar:
        """Raises CheckpointError, also for a look-ahead that the ear was not trained for."""
        torch.set_num_threads(1)
        return open_ear(self.ear_weights, self.look_ahead, self.tokens)

    @cached_property
    def thinker(self) -> Thinker:
        """Raises ThinkerError, and CheckpointError for a LoRA that cannot be attached."""
        return load_thinker(self.thinker_name, lora=self.lora)

    @cached_property
    def asker(self) -> Asker:
        return Asker(self.thinker, self.config.llm)

    @cached_property
    def voice(self) -> Voice:
        """The shipped voice."""
        return load_voice()

    @property
    def config(self) -> SessionConfig:
        """The settings of its conversations."""
        return SessionConfig(llm=LlmSettings(examples=EXAMPLES if self.examples else ()))

    @cached_property
    def llm_mark(self) -> str:
        """Names the written side: model, LoRA by its bytes, and what decides about a reply."""
        llm = self.config.llm
        settings = (
            llm.system_prompt,
            llm.examples,
            llm.max_reply_tokens,
            llm.enough_tokens,
            llm.sampling,
        )
        lora = "" if self.lora is None else f" + LoRA {file_mark(self.lora)}"
        examples = "" if self.examples else " without examples"
        return f"{self.thinker_name}{lora}{examples} ({text_mark(repr(settings))})"

    @cached_property
    def ear_mark(self) -> str:
        """Names the ear: weights by their bytes, look-ahead, and the adapter if it speaks."""
        ahead = "own" if self.look_ahead is None else str(self.look_ahead)
        adapter = "" if self.tokens == "words" else f" {self.tokens} {file_mark(ADAPTER)}"
        return f"{file_mark(self.ear_weights)}@{ahead}{adapter}"

    def without_lora(self) -> "Subject":
        """The same ear with the bare language model and the examples it was chosen with."""
        return replace(self, lora=None, examples=True)


def open_ear(
    weights: Path = WEIGHTS, look_ahead: int | None = None, tokens: TokenKind = DEFAULT_TOKENS
) -> StreamingEar:
    """The ear of ``weights``, looking that many ticks ahead and giving ``tokens``.

    Raises CheckpointError, also for a look-ahead that it was not trained for.
    """
    return load_ear(look_ahead or DEFAULT_LOOK_AHEAD, tokens, path=weights)


def text_mark(text: str) -> str:
    """Short hash of settings written out."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def file_mark(file: Path) -> str:
    """Short hash of a file. Raises EvalError when it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise EvalError(f"cannot read {file}: {error.strerror or error}") from error
