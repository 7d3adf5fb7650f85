"""The streaming ear: 80 ms of audio in, the continuous tokens of newly committed words out.

Encoder and character head give features and CTC characters a few ticks late; the transcriber turns
them into words; a word is a few tokens in the thinker's embedding space: those of its spelling, or
what the neural adapter made of its ticks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.adapter.stream import AdapterStream, AdapterStreamState
from duplex_agent.ear.encoder_config import BLANK, CHARACTERS
from duplex_agent.ear.hearing import HeardWord, Hearing
from duplex_agent.ear.tick_encoder import TickEncoder, TickState
from duplex_agent.ear.transcriber import Transcriber
from duplex_agent.ear.utterance import Sentence, Word
from duplex_agent.errors import AudioError
from duplex_agent.llm.text_tokenizer import TextTokenizer

Embeddings = Callable[[Sequence[int]], NDArray[np.float32]]
"""Token ids to their embeddings [n, width]."""

_FLUSH_TICKS: Final = 12
# The thinker understands an even mixture of two words as neither of them: alternative probabilities
# are sharpened with this exponent.
_SHARPNESS: Final = 3
# Whisper has 1,500 positional embeddings, counted from the beginning of a recording.
_POSITIONS_IN_SILENCE: Final = 400


@dataclass
class EarState:
    """Everything the ear remembers of one conversation.

    ``spelled`` is what the character head alone would say; ``tokens`` belong to the adapter, where
    there is one.
    """

    encoder: TickState
    transcriber: Sentence
    spelled: str = ""
    last_character: int = BLANK
    tokens: AdapterStreamState | None = None

    def clone(self) -> "EarState":
        """An independent copy, for trying out what comes next."""
        return replace(self, tokens=self.tokens.clone() if self.tokens else None)


def decode_characters(spelled: NDArray[np.float32], last: int = BLANK) -> tuple[str, int]:
    """Greedy CTC text of log-probabilities [T, characters] that follow symbol ``last``."""
    text = []
    for symbol in spelled.argmax(-1).tolist():
        if symbol not in (BLANK, last):
            text.append(CHARACTERS[symbol])
        last = symbol
    return "".join(text), last


class StreamingEar:
    """Encoder, character head and transcriber in step with the clock."""

    def __init__(
        self,
        encoder: TickEncoder,
        transcriber: Transcriber,
        tokenizer: TextTokenizer,
        embeddings: Embeddings,
        adapter: AdapterStream | None = None,
    ) -> None:
        """``embeddings`` and ``tokenizer`` are the thinker's; an ``adapter`` gives words their
        tokens in place of both.
        """
        self._encoder = encoder
        self._transcriber = transcriber
        self._tokenizer = tokenizer
        self._embeddings = embeddings
        self._adapter = adapter

    @property
    def look_ahead_ticks(self) -> int:
        """Ticks of audio that must follow a tick before its characters are known."""
        return self._encoder.look_ahead_ticks

    def with_adapter(self, adapter: AdapterStream) -> "StreamingEar":
        """The same ear; its words carry what ``adapter`` makes of their ticks."""
        return StreamingEar(
            self._encoder, self._transcriber, self._tokenizer, self._embeddings, adapter
        )

    def new_state(self) -> EarState:
        """A state that has heard nothing."""
        tokens = self._adapter.new_state() if self._adapter else None
        return EarState(self._encoder.new_state(), Sentence(), tokens=tokens)

    def embed(self, word: Word) -> NDArray[np.float32]:
        """A row per token of the likeliest spelling, alternatives of as many tokens mixed in."""
        spellings = [(self._tokenizer.encode(text), prob) for text, prob in word.alternatives]
        best = spellings[0][0]
        alike = [(ids, prob) for ids, prob in spellings if len(ids) == len(best)]
        weights = np.array([prob for _, prob in alike], np.float32) ** _SHARPNESS
        rows = np.stack([self._embeddings(ids) for ids, _ in alike])
        return np.einsum("r,rnw->nw", weights / weights.sum(), rows)

    def step(self, state: EarState, pcm: NDArray[np.float32]) -> Hearing:
        """Hear one tick ``pcm`` float32 [1280] and give the newly committed words.

        Changes ``state`` in place. Raises AudioError when the audio has another shape or holds NaN;
        the state then stays as it was.
        """
        pcm = np.ascontiguousarray(pcm, np.float32)
        if pcm.shape != (USER_TICK_SAMPLES,) or not np.isfinite(pcm).all():
            raise AudioError(f"a tick is {USER_TICK_SAMPLES} finite samples, not {pcm.shape}")
        state.encoder, features, log_probs = self._encoder.step(state.encoder, pcm)
        state.transcriber = self._transcriber.hear(state.transcriber, pcm)
        if state.encoder.tick <= self.look_ahead_ticks:
            return Hearing()
        characters, state.last_character = decode_characters(log_probs, state.last_character)
        if self._adapter and state.tokens:
            self._adapter.hear(state.tokens, features, log_probs)
        state.spelled += characters
        state.transcriber, words, revised = self._transcriber.step(
            state.transcriber, features, characters
        )
        if self._adapter and state.tokens:
            self._adapter.revise(state.tokens, revised)
        if not state.transcriber.speaking:
            self._begin_again(state)
        settled = not (state.transcriber.speaking and state.transcriber.unsettled)
        heard = [
            HeardWord(row, word.text, word.first_tick, word.last_tick)
            for word, row in zip(words, self._tokens(state, words, settled), strict=True)
        ]
        return Hearing(tuple(heard), settled, revised)

    def finalize(self, state: EarState) -> None:
        """The committed words are being answered: they are final."""
        state.transcriber = self._transcriber.finalize(state.transcriber)

    def _tokens(
        self, state: EarState, words: list[Word], settled: bool
    ) -> list[NDArray[np.float32]]:
        """The embeddings of ``words``; in a pause the last one also has what came behind it."""
        if self._adapter is None or state.tokens is None:
            return [self.embed(word) for word in words]
        ends = [word.last_tick for word in words]
        if settled and words:
            ends[-1] = state.transcriber.tick - 1
        return [
            self._adapter.take(state.tokens, word.first_tick, end)
            for word, end in zip(words, ends, strict=True)
        ]

    def flush(self, state: EarState) -> list[Hearing]:
        """What is still inside, as if a second of silence followed."""
        silence = np.zeros(USER_TICK_SAMPLES, np.float32)
        return [self.step(state, silence) for _ in range(_FLUSH_TICKS)]

    def _begin_again(self, state: EarState) -> None:
        """In silence, count positions from 0 again: no sentence may run into the last one."""
        if self._encoder.position(state.encoder) > _POSITIONS_IN_SILENCE:
            state.encoder = self._encoder.begin_again(state.encoder)
