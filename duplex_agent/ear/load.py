"""The shipped ear: all that it hears with, put together."""

from functools import lru_cache
from pathlib import Path
from typing import Final, get_args

from duplex_agent.ear.adapter.config import Rate
from duplex_agent.ear.adapter.stream import AdapterStream
from duplex_agent.ear.hearing import DEFAULT_LOOK_AHEAD, DEFAULT_TOKENS, TokenKind
from duplex_agent.ear.prepared import prepared_adapter, prepared_ear
from duplex_agent.ear.streaming import StreamingEar
from duplex_agent.ear.transcriber import Transcriber
from duplex_agent.ear.whisper_decoder import WhisperDecoder
from duplex_agent.errors import CheckpointError
from duplex_agent.llm.language_model import find_language_model
from duplex_agent.llm.load import DEFAULT_MODEL
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.runtime.checkpoint import WEIGHTS_DIR

WEIGHTS: Final = WEIGHTS_DIR / "ear.safetensors"
ADAPTER: Final = WEIGHTS_DIR / "adapter.safetensors"
RATES: Final[dict[TokenKind, Rate]] = {"12.5hz": 1, "6.25hz": 2}


def load_ear(
    look_ahead_ticks: int = DEFAULT_LOOK_AHEAD,
    tokens: TokenKind = DEFAULT_TOKENS,
    thinker: str = DEFAULT_MODEL,
    path: Path = WEIGHTS,
) -> StreamingEar:
    """The shipped ear with a look-ahead of 1, 2 or 4 ticks, in the embeddings of ``thinker``.

    Raises CheckpointError for another look-ahead, other ``tokens`` or damaged weights, and
    AssetError.
    """
    if tokens not in get_args(TokenKind):
        raise CheckpointError(f"no tokens {tokens!r}: {', '.join(get_args(TokenKind))}")
    prepared = prepared_ear(path, look_ahead_ticks)
    language = find_language_model(thinker)
    text = prepared_text(language)
    # First: the memory that loading it takes for a moment is then used by the rest.
    tokenizer = text.tokenizer
    transcriber = Transcriber(_decoder(), prepared.silence(), prepared.full_context())
    ear = StreamingEar(prepared.encoder(), transcriber, tokenizer, text.rows)
    if tokens == "words":
        return ear
    adapter = prepared_adapter(ADAPTER, text.embedding, language.fingerprint)
    return ear.with_adapter(AdapterStream(adapter, RATES[tokens]))


@lru_cache(maxsize=1)
def _decoder() -> WhisperDecoder:
    return WhisperDecoder()
