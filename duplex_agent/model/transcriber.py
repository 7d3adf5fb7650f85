"""What the user is saying, word by word while it is said.

The ear's features of the running sentence are read by Whisper's decoder again and again. What two
readings in a row agree on stands (local agreement, arXiv 2307.14743), except for the last word,
which may be half said; in a pause the whole sentence is read afresh, and words are taken back if
the letters speak for others. The letters of the character head say that somebody speaks at all,
when each word was said, and how long a reading may be: the decoder alone would find words in noise
and never stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile

import numpy as np
from numpy.typing import NDArray

from duplex_agent.model.whisper_decoder import Decoder, ReadPiece
from duplex_agent.model.word_times import letters_apart, letters_of, spoken_size, word_times

Array = NDArray[np.float32]
Pieces = tuple[ReadPiece, ...]  # of one word


@dataclass(frozen=True)
class TranscriberConfig:
    """Durations in ticks.

    A reading happens every ``read_every`` ticks of speech and after ``pause`` ticks without a
    letter; after ``rest`` of them the sentence is over and its sound forgotten. A sentence's window
    is cut behind words that stand once it is longer than ``window``, down to ``context``. ``lead``
    ticks before the first letter belong to the sentence. New words with more than
    ``letters_per_letter`` letters for each one newly spelled and ``letters_more`` must not repeat
    what was said, and are cut there; in a pause a reading may go on for ``pause_patience`` times as
    long, for it may repeat itself first. Fewer than ``least_letters`` letters are noise.
    """

    read_every: int = 6
    pause: int = 3
    rest: int = 12
    window: int = 100
    context: int = 38
    lead: int = 5
    letters_per_letter: float = 1.3
    letters_more: int = 4
    pause_patience: float = 2.0
    least_letters: int = 2


@dataclass(frozen=True)
class Word:
    """A word that stands: ``guesses`` with their shares, the best first, and its ticks."""

    guesses: tuple[tuple[str, float], ...]
    first_tick: int
    last_tick: int

    @property
    def text(self) -> str:
        """The word as written, punctuation and the space before it included."""
        return self.guesses[0][0]


@dataclass(frozen=True)
class Standing:
    """A word of the running sentence that was given out."""

    pieces: Pieces
    last_tick: int


@dataclass(frozen=True)
class TranscriberState:
    """A conversation so far; ``tick`` of it have been heard.

    ``sound``: what the decoder needs of each tick from tick ``first`` on: of the running sentence,
    or of the last few ticks while nobody is ``speaking``. ``spelled``: the letters in them with
    their ticks. ``standing``: the words in them that were given out. ``reading``: the words behind
    those at the last reading, ``unread`` ticks ago. ``quiet``: ticks since the last letter.
    Words said before tick ``committed`` stand for good.
    """

    tick: int = 0
    first: int = 0
    sound: tuple[Array, ...] = ()
    spelled: tuple[tuple[str, int], ...] = ()
    standing: tuple[Standing, ...] = ()
    committed: int = 0
    reading: tuple[Pieces, ...] = ()
    unread: int = 0
    quiet: int = 0
    speaking: bool = False

    @property
    def new_letters(self) -> int:
        """Letters spelled since the last word that stands."""
        since = self.standing[-1].last_tick if self.standing else self.first - 1
        return sum(tick > since for _, tick in self.spelled)

    @property
    def fixed(self) -> tuple[Standing, ...]:
        """The words of the running sentence that stand for good."""
        return tuple(word for word in self.standing if word.last_tick < self.committed)

    def settled(self, config: TranscriberConfig) -> bool:
        """Whether every word said so far was given out."""
        return not self.speaking or self.quiet >= config.pause


def words_of(pieces: list[ReadPiece]) -> list[Pieces]:
    """Pieces grouped into words: a word begins with a space."""
    words: list[list[ReadPiece]] = []
    for piece in pieces:
        if words and not piece.text.startswith(" "):
            words[-1].append(piece)
        else:
            words.append([piece])
    return [tuple(word) for word in words]


def guesses_of(word: Pieces) -> tuple[tuple[str, float], ...]:
    """What the word may be: rivals of its first piece if they are other whole words."""
    tail = "".join(piece.text for piece in word[1:])
    best, *rivals = word[0].guesses
    if letters_of(tail):
        return ((best[0] + tail, 1.0),)
    others = [
        (text + tail, share)
        for text, share in rivals
        if text.startswith(" ") and letters_of(text) not in ("", letters_of(best[0]))
    ]
    return ((best[0] + tail, best[1]), *others)


def without_echo(known: list[Pieces], words: list[Pieces]) -> list[Pieces]:
    """``words`` without those that say again what stands right before them, or in ``known``.

    A decoder that is given a short sound tends to read it twice.
    """
    kept = list(known)
    for word in words:
        kept.append(word)
        said = [letters_of(_text(w)) for w in kept]
        for size in range(len(said) // 2, 0, -1):
            if said[-size:] == said[-2 * size : -size] and len(kept) - size >= len(known):
                del kept[-size:]
                break
    return kept[len(known) :]


def _alike(words: Sequence[Pieces], others: Sequence[Pieces]) -> int:
    """How many words from the first on are the same."""
    pairs = zip(words, others, strict=False)
    same = takewhile(lambda pair: [p.id for p in pair[0]] == [p.id for p in pair[1]], pairs)
    return sum(1 for _ in same)


def _spoken(words: list[Pieces], spelled: Sequence[tuple[str, int]]) -> tuple[list[Pieces], int]:
    """``words`` without what a decoder adds at the end of a sound, and how far the rest is from
    the letters: last words of which no letter was spelled, and those that only come back while
    fewer would be nearer to the letters.
    """
    texts = ["", *accumulate(map(_text, words))]
    apart = [letters_apart(text, spelled) for text in texts]
    said = [letters_of(_text(word)) for word in words]
    nearest = min(apart)
    kept = len(words)
    while kept > 1:
        last = said[kept - 1]
        added = apart[kept] - apart[kept - 1] >= len(last)
        echoed = apart[kept] > nearest and last in said[: kept - 1]
        if not added and not echoed:
            break
        kept -= 1
    return words[:kept], apart[kept]


def _letters(words: list[Pieces]) -> int:
    return sum(spoken_size(_text(word)) for word in words)


def _text(word: Pieces) -> str:
    return "".join(piece.text for piece in word)


class Transcriber:
    """The policy above; all that changes is in the state."""

    def __init__(
        self, decoder: Decoder, silence: Array, config: TranscriberConfig | None = None
    ) -> None:
        """``silence`` [frames, width]: what the ear makes of some seconds of silence. Whisper's
        decoder only stops where a recording has come to rest.
        """
        self.config = config or TranscriberConfig()
        self._decoder = decoder
        self._silence = decoder.sound(silence)

    def step(
        self, state: TranscriberState, features: Array, letters: str
    ) -> tuple[TranscriberState, list[Word], int]:
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
            return self._keep(state, config.lead), [], 0
        words: list[Word] = []
        taken_back = 0
        if state.quiet == config.pause:
            state, words, taken_back = self._settle(state)
        elif state.quiet >= config.rest:
            state = replace(self._keep(state, config.lead), reading=(), speaking=False)
        elif state.quiet < config.pause and state.unread >= config.read_every:
            state, words = self._agree(state)
        return self._cut(state), words, taken_back

    def commit(self, state: TranscriberState) -> TranscriberState:
        """Whatever stands now stands for good."""
        return replace(state, committed=state.tick)

    def _agree(self, state: TranscriberState) -> tuple[TranscriberState, list[Word]]:
        words = self._read(state, patience=1.0)
        return self._stand(state, words, _alike(words[:-1], state.reading))

    def _settle(self, state: TranscriberState) -> tuple[TranscriberState, list[Word], int]:
        """The speaker pauses: whatever was said stands, as it is now understood."""
        patience = self.config.pause_patience
        if state.new_letters < self.config.least_letters:
            return replace(state, reading=(), unread=0), [], 0
        fixed = state.fixed
        since = fixed[-1].last_tick if fixed else state.first - 1
        spelled = [pair for pair in state.spelled if pair[1] > since]
        before = [word.pieces for word in state.standing[len(fixed) :]]
        afresh = replace(state, standing=fixed, reading=(*before, *state.reading))
        words, apart = _spoken(self._read(afresh, patience), spelled)
        if _alike(before, words) < len(before):
            on, on_apart = _spoken([*before, *self._read(state, patience)], spelled)
            words = on if on_apart < apart else words
        same = _alike(before, words)
        state = replace(state, standing=state.standing[: len(fixed) + same])
        state, given = self._stand(state, words[same:], len(words) - same)
        return state, given, len(before) - same

    def _read(self, state: TranscriberState, patience: float) -> list[Pieces]:
        """The words behind those that stand, read until ``patience`` times the believable letters
        are there: a decoder in a loop would not come to an end for seconds of sound.
        """
        config = self.config
        standing = [piece.id for word in state.standing for piece in word.pieces]
        draft = [piece.id for word in state.reading for piece in word]
        believable = config.letters_per_letter * state.new_letters + config.letters_more
        pieces: list[ReadPiece] = []
        letters = 0
        for piece in self._decoder.read([*state.sound, self._silence], standing, draft):
            pieces.append(piece)
            letters += spoken_size(piece.text)
            if letters > patience * believable:
                break
        words = words_of(pieces)
        if _letters(words) > believable:
            words = without_echo([word.pieces for word in state.standing], words)
        while words and _letters(words) > believable:
            words.pop()
        return words

    def _stand(
        self, state: TranscriberState, words: list[Pieces], count: int
    ) -> tuple[TranscriberState, list[Word]]:
        """Give out the first ``count`` of ``words``; the next reading must agree with the rest."""
        known = [_text(word.pieces) for word in state.standing]
        texts = [*known, *map(_text, words)]
        times = word_times(texts, state.spelled, state.first, state.tick - 1)[len(known) :]
        since = state.standing[-1].last_tick if state.standing else state.first
        given, standing = [], []
        for word, (first, last) in zip(words[:count], times[:count], strict=True):
            since, last = max(first, since), max(last, since)
            given.append(Word(guesses_of(word), since, last))
            standing.append(Standing(word, last))
            since = last
        state = replace(
            state,
            standing=(*state.standing, *standing),
            reading=tuple(words[count:]),
            unread=0,
        )
        return state, given

    def _cut(self, state: TranscriberState) -> TranscriberState:
        """Keep the window short: words that stand open it, as what was said before."""
        config = self.config
        surplus = state.tick - state.first - config.window
        if surplus <= 0:
            return state
        before = [word for word in state.standing if word.last_tick < state.tick - config.context]
        if not before:
            # Nothing in it could be agreed upon for so long that it is hardly speech.
            return self._keep(state, config.window) if surplus > config.window else state
        return self._keep(state, state.tick - before[-1].last_tick - 1)

    def _keep(self, state: TranscriberState, ticks: int) -> TranscriberState:
        """Forget all but the last ``ticks`` ticks."""
        first = max(state.first, state.tick - ticks)
        return replace(
            state,
            first=first,
            sound=state.sound[first - state.first :],
            spelled=tuple(pair for pair in state.spelled if pair[1] >= first),
            standing=tuple(word for word in state.standing if word.last_tick >= first),
        )
