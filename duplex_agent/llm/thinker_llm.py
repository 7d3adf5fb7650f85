"""The thinker as a conversation's LLM: its cache holds the record, it writes the replies."""

from collections.abc import Generator, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from duplex_agent.errors import ContextFull
from duplex_agent.llm.chat import ChatFormat, chat_format, is_sentence_end
from duplex_agent.llm.ledger import Ledger
from duplex_agent.llm.protocol import Heard, Role, TurnPair, Written
from duplex_agent.llm.requests import Decode, LlmRequest
from duplex_agent.llm.sampling import Sampler, phrase_ends
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.llm.thinker import Thinker
from duplex_agent.voice.spoken_text import is_foreign

LONGEST_TOKEN: Final = 16  # characters: longer text than this allows is not even tokenised


class ThinkerLlm:
    """A conversation with the language model of this process.

    Of the thinker it needs the tokenizer and the length of the context; it never runs it.
    Raises ContextFull when the configured system prompt is too long.
    """

    speculates = True

    def __init__(self, thinker: Thinker, settings: LlmSettings, seed: int) -> None:
        self._tokenizer = thinker.tokenizer
        self._settings = settings
        self._longest = thinker.max_length - settings.turn_positions
        self.instructions = settings.system_prompt
        self._chat = self._told(settings.system_prompt)
        rng = np.random.default_rng(seed)
        self._sampler = Sampler(settings.sampling, rng, never=_foreign_ids(self._tokenizer))
        self.record = Ledger(
            self._chat,
            thinker.max_length,
            turn_room=settings.turn_positions,
            remember=settings.remember_positions,
            keep=settings.keep,
        )

    def begin_reply(self) -> "ThinkerGeneration":
        """Open the agent's turn in the record."""
        stop_ids = self._chat.stop_ids
        return ThinkerGeneration(
            self.record, self._tokenizer, stop_ids, self._sampler, self._settings
        )

    def set_instructions(self, text: str) -> None:
        """Another system prompt before the same examples, from the next turn on.

        Raises ContextFull when it would not leave a turn and its reply their room.
        """
        self._chat = self._told(text)
        self.instructions = text
        self.record.replace_prefix(self._chat.system)

    def add_text_turn(self, role: Role, text: str) -> None:
        """A turn of text behind the turn in progress.

        Raises ContextFull when it would not leave a turn and its reply their room, together with
        the turns that have been added and not read yet.
        """
        taken = len(self._chat.system) + self.record.waiting + self.record.turn_length(role, [])
        limit = self._longest - taken
        if len(text) <= limit * LONGEST_TOKEN:
            ids = self._tokenizer.encode(text)
            if len(ids) <= limit:
                self.record.add_turn(role, text, ids)
                return
        raise ContextFull(
            f"a turn of text of {len(text)} characters is too long: the context has"
            f" {max(limit, 0)} tokens for it"
        )

    def add_pair(self, pair: TurnPair) -> None:
        """A turn of a conversation that began elsewhere, as text."""
        if pair.text_of is not None:
            text = pair.user or pair.agent
            self.record.add_turn(pair.text_of, text, self._tokenizer.encode(text))
        else:
            user, agent = self._tokenizer.encode(pair.user), self._tokenizer.encode(pair.agent)
            self.record.add_pair(pair, user, agent)

    def _told(self, text: str) -> ChatFormat:
        """The chat under a system prompt; ContextFull if it is too long."""
        bare = len(chat_format(self._tokenizer, "", self._settings.examples).system)
        limit = self._longest - bare
        if len(text) <= limit * LONGEST_TOKEN:
            chat = chat_format(self._tokenizer, text, self._settings.examples)
            if len(chat.system) <= self._longest:
                return chat
        raise ContextFull(
            f"instructions of {len(text)} characters are too long: the context has"
            f" {max(limit, 0)} tokens for them"
        )


class ThinkerGeneration:
    """Writes a reply token by token."""

    def __init__(
        self,
        ledger: Ledger,
        tokenizer: TextTokenizer,
        stop_ids: frozenset[int],
        sampler: Sampler,
        settings: LlmSettings,
    ) -> None:
        self._ledger = ledger
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._sampler = sampler
        self._settings = settings
        self._replies = [tokenizer.encode(pair.agent) for pair in ledger.pairs if pair.agent]
        fresh = self._replies[-settings.fresh_replies :] if settings.fresh_replies else []
        self._said_before = _ids_of_words(tokenizer, fresh)
        ledger.begin_reply()
        self._tokens: list[int] = []
        self._ends: list[int] = []  # characters of the text after each token
        self.text = ""
        self.done = False

    def write(self, budget: int, waited_ms: int) -> Generator[LlmRequest, Any, list[Written]]:
        """At most ``budget`` tokens."""
        deltas: list[Written] = []
        for _ in range(budget):
            if self.done:
                break
            deltas += yield from self._next_token()
        return deltas

    def heard(self, chars: int) -> Heard:
        """Whole tokens within the first ``chars`` characters."""
        tokens = sum(end <= chars for end in self._ends)
        return Heard(tokens, self.text[: self._ends[tokens - 1]].strip() if tokens else "")

    def cancel(self) -> None:
        """Nothing runs between two calls of ``write``."""
        self.done = True

    def _next_token(self) -> Generator[LlmRequest, Any, list[Written]]:
        if not self._ledger.reply_fits:
            self.done = True
            return []
        self._ledger.make_room()
        yield from self._ledger.edits()
        # Left to itself a small model copies what it said before, until every reply is one of five.
        continued = frozenset(phrase_ends(self._tokens, self._replies) - self._stop_ids)
        used = [*self._said_before, *self._tokens]
        cache, sampler = self._ledger.cache, self._sampler
        decoded = yield Decode(cache, sampler, used, continued, self._stop_ids)
        if decoded.token in self._stop_ids:
            self.done = True
            return []
        self._ledger.say()
        self._tokens.append(decoded.token)
        written = self._tokenizer.decode(self._tokens)
        delta = Written(written[len(self.text) :], decoded.hidden)
        self.text = written
        self._ends.append(len(self.text))
        self.done = len(self._tokens) >= self._settings.max_reply_tokens or self._said_enough()
        return [delta]

    def _said_enough(self) -> bool:
        """A line ended, or a sentence after enough tokens."""
        ended = is_sentence_end(self.text)
        return ended and (
            self.text.endswith("\n") or len(self._tokens) >= self._settings.enough_tokens
        )


@lru_cache(maxsize=4)
def _foreign_ids(tokenizer: TextTokenizer) -> tuple[int, ...]:
    """Tokens that the voice cannot say; looking through a vocabulary takes a tick."""
    return tuple(i for i, token in enumerate(tokenizer.tokens) if is_foreign(token))


def _ids_of_words(tokenizer: TextTokenizer, replies: Iterable[Sequence[int]]) -> list[int]:
    """All ids in ``replies`` but those of marks, which every sentence needs."""
    ids = {token for reply in replies for token in reply}
    return [token for token in sorted(ids) if any(map(str.isalpha, tokenizer.decode([token])))]
