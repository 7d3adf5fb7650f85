"""What the user is saying, word by word while it is said.

The ear's features of the running sentence are read by Whisper's decoder again and again. What two
readings in a row agree on stands (local agreement, arXiv 2307.14743), except for the last word,
which may be half said. In a pause the second pass hears the whole sentence at once, it is read
afresh, and words that were misheard are taken back. The letters of the character head say that
somebody speaks at all, when each word was said, and how long a reading may be: the decoder alone
would find words in noise and never stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from duplex_agent.ear.full_context import SecondPass
from duplex_agent.ear.hypotheses import (
    Pieces,
    alike,
    as_written,
    letter_count,
    spoken_part,
    text_of,
    without_echo,
    words_of,
)
from duplex_agent.ear.utterance import Array, Sentence, Standing, Word
from duplex_agent.ear.whisper_decoder import Decoder, ReadPiece
from duplex_agent.ear.word_times import spoken_size, word_times


@dataclass(frozen=True)
class TranscriberConfig:
    """Durations in ticks.

    A reading happens every ``read_every`` ticks of speech and in a pause: after ``hush`` quiet
    ticks, or after ``pause`` ticks without a letter, for noise is never quiet. After ``rest`` ticks
    without a letter the sentence is over and its sound forgotten. A sentence's window is cut behind
    words that stand once it is longer than ``window``, down to ``context``. ``lead`` ticks before
    the first letter belong to the sentence. New words with more than ``letters_per_letter`` letters
    for each one newly spelled and ``letters_more`` must not repeat what was said, and are cut
    there; in a pause a reading may go on for ``pause_patience`` times as long, for it may repeat
    itself first. Fewer than ``least_letters`` letters are noise.
    """

    read_every: int = 6
    hush: int = 4
    pause: int = 3
    rest: int = 12
    window: int = 100
    context: int = 38
    lead: int = 5
    letters_per_letter: float = 1.3
    letters_more: int = 4
    pause_patience: float = 2.0
    least_letters: int = 2


class Transcriber:
    """The policy above; all that changes is in the state."""

    def __init__(
        self,
        decoder: Decoder,
        silence: Array,
        second_pass: SecondPass | None = None,
        config: TranscriberConfig | None = None,
    ) -> None:
        """``silence`` [frames, width]: what the ear makes of some seconds of silence. Whisper's
        decoder only stops where a recording has come to rest. Without a ``second_pass`` the ear's
        own features are read in pauses too.
        """
        self.config = config or TranscriberConfig()
        self._decoder = decoder
        self._silence = decoder.sound(silence)
        self._second_pass = second_pass
        self._whole_silence = decoder.sound(second_pass.silence) if second_pass else self._silence

    def hear(self, state: Sentence, pcm: Array) -> Sentence:
        """Take the sound [1280] of a tick, before the encoder is done with it."""
        return replace(state, pcm=(*state.pcm, pcm))

    def step(
        self, state: Sentence, features: Array, letters: str
    ) -> tuple[Sentence, list[Word], int]:
        """Take the features [4, width] and letters of one more tick.

        Gives the words that now stand, and how many of the last ones before them do so no more.
        """
        config = self.config
        heard = tuple((letter, state.tick) for letter in letters if letter != " ")
        state = replace(
            state,
            tick=state.tick + 1,
            sound=(*state.sound, self._decoder.sound(features)),
            spelled=state.spelled + heard,
            quiet=0 if heard else state.quiet + 1,
            unread=state.unread + 1,
            speaking=state.speaking or bool(heard),
        )
        if not state.speaking:
            return state.last(config.lead), [], 0
        words: list[Word] = []
        taken_back = 0
        hush = state.hush
        if state.news and (hush == config.hush or state.quiet == config.pause):
            state, words, taken_back = self._settle(state)
        elif state.quiet >= config.rest:
            state = replace(state.last(config.lead), reading=(), speaking=False, begun=False)
        elif state.quiet < config.pause and state.unread >= config.read_every:
            state, words = self._agree(state)
        # A tick early: the second pass and the reading of it are too much for one tick.
        due = state.news and hush == config.hush - 1
        state = replace(state, whole=self._hear_whole(state) if due else None)
        return self._cut(state), words, taken_back

    def commit(self, state: Sentence) -> Sentence:
        """Whatever stands now stands for good."""
        return replace(state, committed=state.tick)

    def _agree(self, state: Sentence) -> tuple[Sentence, list[Word]]:
        words = self._read(state, [*state.sound, self._silence], patience=1.0)
        return self._stand(state, words, alike(words[:-1], state.reading))

    def _settle(self, state: Sentence) -> tuple[Sentence, list[Word], int]:
        """The speaker pauses: whatever was said stands, as it is now understood."""
        patience = self.config.pause_patience
        state = replace(state, settled=state.tick)
        if state.new_letters < self.config.least_letters:
            return replace(state, reading=(), unread=0), [], 0
        whole = self._hear_whole(state) if state.whole is None else state.whole
        sound = [*state.sound, self._silence] if whole is None else [whole, self._whole_silence]
        fixed = state.fixed
        since = fixed[-1].last_tick if fixed else state.first - 1
        spelled = [pair for pair in state.spelled if pair[1] > since]
        before = [word.pieces for word in state.standing[len(fixed) :]]
        afresh = replace(state, standing=fixed, reading=(*before, *state.reading))
        words, apart = spoken_part(self._read(afresh, sound, patience), spelled)
        if alike(before, words) < len(before):
            on, on_apart = spoken_part([*before, *self._read(state, sound, patience)], spelled)
            words = on if on_apart < apart else words
        opens = state.opening
        shown = [
            as_written(word, opens and i == 0, closes=i == len(words) - 1)[0][0]
            for i, word in enumerate(words)
        ]
        unchanged = zip(state.standing[len(fixed) :], shown[: alike(before, words)], strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0].text == pair[1], unchanged))
        state = replace(
            state, standing=state.standing[: len(fixed) + same], begun=bool(same) or not opens
        )
        state, given = self._stand(state, words[same:], len(words) - same, closes=True)
        return state, given, len(before) - same

    def _hear_whole(self, state: Sentence) -> Array | None:
        """What the decoder needs of the sentence as the second pass hears it."""
        if self._second_pass is None:
            return None
        return self._decoder.sound(self._second_pass.features(state.pcm))

    def _read(self, state: Sentence, sound: Sequence[Array], patience: float) -> list[Pieces]:
        """The words of ``sound`` behind those that stand, read until ``patience`` times the
        believable letters are there: a decoder in a loop would not come to an end for seconds.
        """
        config = self.config
        standing = [piece.id for word in state.standing for piece in word.pieces]
        draft = [piece.id for word in state.reading for piece in word]
        believable = config.letters_per_letter * state.new_letters + config.letters_more
        pieces: list[ReadPiece] = []
        letters = 0
        for piece in self._decoder.read(sound, standing, draft):
            pieces.append(piece)
            letters += spoken_size(piece.text)
            if letters > patience * believable:
                break
        words = words_of(pieces)
        if letter_count(words) > believable:
            words = without_echo([word.pieces for word in state.standing], words)
        while words and letter_count(words) > believable:
            words.pop()
        return words

    def _stand(
        self, state: Sentence, words: list[Pieces], count: int, closes: bool = False
    ) -> tuple[Sentence, list[Word]]:
        """Give out the first ``count`` of ``words``, the last of which may be one that ``closes``
        the sentence; the next reading must agree with the rest.
        """
        known = [text_of(word.pieces) for word in state.standing]
        texts = [*known, *map(text_of, words)]
        times = word_times(texts, state.spelled, state.first, state.tick - 1)[len(known) :]
        since = state.standing[-1].last_tick if state.standing else state.first
        given, standing = [], []
        opens = not state.begun
        for i, (word, (first, last)) in enumerate(zip(words[:count], times, strict=False)):
            since, last = max(first, since), max(last, since)
            guesses = as_written(word, opens, closes and i == count - 1)
            given.append(Word(guesses, since, last))
            standing.append(Standing(word, guesses[0][0], opens, last))
            since, opens = last, False
        state = replace(
            state,
            standing=(*state.standing, *standing),
            begun=state.begun or bool(standing),
            reading=tuple(words[count:]),
            unread=0,
        )
        return state, given

    def _cut(self, state: Sentence) -> Sentence:
        """Keep the window short: words that stand open it, as what was said before."""
        config = self.config
        surplus = state.tick - state.first - config.window
        if surplus <= 0:
            return state
        before = [word for word in state.standing if word.last_tick < state.tick - config.context]
        if not before:
            # Nothing in it could be agreed upon for so long that it is hardly speech.
            return state.last(config.window) if surplus > config.window else state
        return state.last(state.tick - before[-1].last_tick - 1)
