"""What the user is saying, word by word while it is said.

Whisper's decoder decodes the ear's features of the running sentence again and again. Words on which
two hypotheses in a row agree are committed (local agreement, arXiv 2307.14743), except for the last
one, which may be half said. In a pause the whole sentence is decoded again with full context, and
committed words are revised where the result differs. The CTC characters of the character head tell
whether somebody speaks, when each word was said, and how long a hypothesis may be: the decoder
alone would find words in noise and never stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from duplex_agent.ear.full_context import FullContext
from duplex_agent.ear.hypotheses import (
    Subwords,
    alike,
    as_written,
    character_count,
    spoken_part,
    text_of,
    without_echo,
    words_of,
)
from duplex_agent.ear.utterance import Array, CommittedWord, Sentence, Word
from duplex_agent.ear.whisper_decoder import Decoder, Subword
from duplex_agent.ear.word_times import spoken_length, word_times


@dataclass(frozen=True)
class TranscriberConfig:
    """Durations in ticks.

    A decode happens every ``decode_every`` ticks of speech and in a pause: after ``hush`` quiet
    ticks, or after ``pause`` ticks without a CTC character, for noise is never quiet. After
    ``rest`` ticks without a character the sentence is over and its audio forgotten. A sentence's
    window is cut behind committed words once it is longer than ``window``, down to ``context``.
    ``lead`` ticks before the first character belong to the sentence. New words are limited to
    ``characters_per_character`` characters for each new CTC character, and ``extra_characters``
    more: longer ones must not repeat what was said, and are cut there. In a pause a decode may go
    on for ``pause_patience`` times as long, for it may repeat itself first. Fewer than
    ``min_characters`` CTC characters are noise.
    """

    decode_every: int = 6
    hush: int = 4
    pause: int = 3
    rest: int = 12
    window: int = 100
    context: int = 38
    lead: int = 5
    characters_per_character: float = 1.3
    extra_characters: int = 4
    pause_patience: float = 2.0
    min_characters: int = 2


class Transcriber:
    """The policy above; all that changes is in the state."""

    def __init__(
        self,
        decoder: Decoder,
        silence: Array,
        full_context: FullContext | None = None,
        config: TranscriberConfig | None = None,
    ) -> None:
        """``silence`` [frames, width]: the ear's features of some seconds of silence. Whisper's
        decoder only stops where a recording ends in silence. Without ``full_context`` the streaming
        features are decoded in pauses too.
        """
        self.config = config or TranscriberConfig()
        self._decoder = decoder
        self._silence = decoder.cross_attention(silence)
        self._full_context = full_context
        self._full_context_silence = (
            decoder.cross_attention(full_context.silence) if full_context else self._silence
        )

    def hear(self, state: Sentence, pcm: Array) -> Sentence:
        """Take the audio [1280] of a tick, before the encoder is done with it."""
        return replace(state, pcm=(*state.pcm, pcm))

    def step(
        self, state: Sentence, features: Array, characters: str
    ) -> tuple[Sentence, list[Word], int]:
        """Take the features [4, width] and CTC characters of one more tick.

        Gives the newly committed words, and how many of the last ones before them they revise.
        """
        config = self.config
        heard = tuple((char, state.tick) for char in characters if char != " ")
        state = replace(
            state,
            tick=state.tick + 1,
            cross_attention=(*state.cross_attention, self._decoder.cross_attention(features)),
            spelled=state.spelled + heard,
            quiet=0 if heard else state.quiet + 1,
            undecoded=state.undecoded + 1,
            speaking=state.speaking or bool(heard),
        )
        if not state.speaking:
            return state.last(config.lead), [], 0
        words: list[Word] = []
        revised = 0
        hush = state.hush
        if state.unsettled and (hush == config.hush or state.quiet == config.pause):
            state, words, revised = self._settle(state)
        elif state.quiet >= config.rest:
            state = replace(state.last(config.lead), hypothesis=(), speaking=False, begun=False)
        elif state.quiet < config.pause and state.undecoded >= config.decode_every:
            state, words = self._agree(state)
        # A tick early: the full-context pass and its decode are too much for one tick.
        due = state.unsettled and hush == config.hush - 1
        state = replace(state, full_context=self._encode_again(state) if due else None)
        return self._cut(state), words, revised

    def finalize(self, state: Sentence) -> Sentence:
        """The committed words become final."""
        return replace(state, final_before=state.tick)

    def _agree(self, state: Sentence) -> tuple[Sentence, list[Word]]:
        words = self._decode(state, [*state.cross_attention, self._silence], patience=1.0)
        return self._commit(state, words, alike(words[:-1], state.hypothesis))

    def _settle(self, state: Sentence) -> tuple[Sentence, list[Word], int]:
        """The speaker pauses: all words are committed, and earlier ones revised."""
        patience = self.config.pause_patience
        state = replace(state, settled=state.tick)
        if state.new_characters < self.config.min_characters:
            return replace(state, hypothesis=(), undecoded=0), [], 0
        again = self._encode_again(state) if state.full_context is None else state.full_context
        if again is None:
            attended = [*state.cross_attention, self._silence]
        else:
            attended = [again, self._full_context_silence]
        final = state.final
        since = final[-1].last_tick if final else state.first - 1
        spelled = [pair for pair in state.spelled if pair[1] > since]
        before = [word.subwords for word in state.committed[len(final) :]]
        reopened = replace(state, committed=final, hypothesis=(*before, *state.hypothesis))
        words, distance = spoken_part(self._decode(reopened, attended, patience), spelled)
        if alike(before, words) < len(before):
            continued = [*before, *self._decode(state, attended, patience)]
            continued, other = spoken_part(continued, spelled)
            words = continued if other < distance else words
        opens = state.at_start
        shown = [
            as_written(word, opens and i == 0, closes=i == len(words) - 1)[0][0]
            for i, word in enumerate(words)
        ]
        unchanged = zip(state.committed[len(final) :], shown[: alike(before, words)], strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0].text == pair[1], unchanged))
        state = replace(
            state, committed=state.committed[: len(final) + same], begun=bool(same) or not opens
        )
        state, given = self._commit(state, words[same:], len(words) - same, closes=True)
        return state, given, len(before) - same

    def _encode_again(self, state: Sentence) -> Array | None:
        """Keys and values of the sentence, encoded with full context."""
        if self._full_context is None:
            return None
        return self._decoder.cross_attention(self._full_context.features(state.pcm))

    def _decode(
        self, state: Sentence, attended: Sequence[Array], patience: float
    ) -> list[Subwords]:
        """The words of ``attended`` behind the committed ones, at most ``patience`` times as many
        characters as are plausible: a decoder in a loop would not come to an end for seconds.
        """
        config = self.config
        prefix = [subword.id for word in state.committed for subword in word.subwords]
        draft = [subword.id for word in state.hypothesis for subword in word]
        plausible = config.characters_per_character * state.new_characters + config.extra_characters
        subwords: list[Subword] = []
        characters = 0
        for subword in self._decoder.decode(attended, prefix, draft):
            subwords.append(subword)
            characters += spoken_length(subword.text)
            if characters > patience * plausible:
                break
        words = words_of(subwords)
        if character_count(words) > plausible:
            words = without_echo([word.subwords for word in state.committed], words)
        while words and character_count(words) > plausible:
            words.pop()
        return words

    def _commit(
        self, state: Sentence, words: list[Subwords], count: int, closes: bool = False
    ) -> tuple[Sentence, list[Word]]:
        """Commit the first ``count`` of ``words``, the last of which may be one that ``closes``
        the sentence; the next hypothesis must agree with the rest.
        """
        known = [text_of(word.subwords) for word in state.committed]
        texts = [*known, *map(text_of, words)]
        times = word_times(texts, state.spelled, state.first, state.tick - 1)[len(known) :]
        since = state.committed[-1].last_tick if state.committed else state.first
        given, committed = [], []
        opens = not state.begun
        for i, (word, (first, last)) in enumerate(zip(words[:count], times, strict=False)):
            since, last = max(first, since), max(last, since)
            alternatives = as_written(word, opens, closes and i == count - 1)
            given.append(Word(alternatives, since, last))
            committed.append(CommittedWord(word, alternatives[0][0], opens, last))
            since, opens = last, False
        state = replace(
            state,
            committed=(*state.committed, *committed),
            begun=state.begun or bool(committed),
            hypothesis=tuple(words[count:]),
            undecoded=0,
        )
        return state, given

    def _cut(self, state: Sentence) -> Sentence:
        """Keep the window short: its first words are committed ones, as the decoder's prefix."""
        config = self.config
        surplus = state.tick - state.first - config.window
        if surplus <= 0:
            return state
        before = [word for word in state.committed if word.last_tick < state.tick - config.context]
        if not before:
            # Nothing in it could be agreed upon for so long that it is hardly speech.
            return state.last(config.window) if surplus > config.window else state
        return state.last(state.tick - before[-1].last_tick - 1)
