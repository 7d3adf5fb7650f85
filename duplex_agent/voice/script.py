"""What the voice is about to say, on its own clock: phones with end times, words behind them.

Text comes in as it is written; words, phones and durations come out as soon as they are final.
The networks read one finished word after the other, however the text was cut into pieces, and
only as far ahead as the clock needs; so the same text gives the same script bit for bit. The
clock takes whole words: where the text falls behind, there is an end of a word to rest at.
"""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS
from duplex_agent.voice.phone_grid import SLOT_S, phone_occupancy
from duplex_agent.voice.phones import PHONE_ID, PhoneReader, Speller
from duplex_agent.voice.spoken_text import is_left_out, needs_next, spoken_word
from duplex_agent.voice.timing import Timer, TimingReader

_REST = PHONE_ID["$"]
_SPACE = PHONE_ID[" "]
_BEGIN = PHONE_ID["^"]
_TICK_S = TICK_MS / 1000
# Characters read at a time: a pass over one costs almost as much as one over twelve.
_BLOCK = 12
_TICK_SLOTS = round(_TICK_S / SLOT_S)


@dataclass(frozen=True)
class _Written:
    """A written word, how many characters had been written by its end, and the thinker's state."""

    text: str
    end: int
    hidden: NDArray[np.float32] | None


@dataclass(frozen=True)
class TimedPhone:
    """A phone on the clock: its id, its time, and the number of the spoken word it belongs to.

    ``letters``: the word on whose letters the speller put it, which may be a letter late; of words
    that are said as one ("of the"), all phones belong to the first.
    """

    phone: int
    start_s: float
    end_s: float
    word: int
    letters: int


class Script:
    """Written text -> phones on the clock -> how many written characters have been voiced.

    ``speed`` divides every duration.
    """

    def __init__(self, phones: Speller, timing: Timer, speed: float = 1.0) -> None:
        self._reader = PhoneReader(phones)
        self._timing = TimingReader(timing)
        self._speed = speed
        self._partial: list[str] = []
        self._written = 0
        self._hidden: NDArray[np.float32] | None = None
        # Written words that nothing has been made of; the last one may wait for its successor.
        self._queue: deque[_Written] = deque()
        self._before = ""
        # Per spoken character: the word it belongs to.
        self._word_of: list[int] = []
        # Per spoken word: its letters, written characters up to its end, the thinker's state.
        self._spoken: list[str] = []
        self._word_end: list[int] = []
        self._word_state: list[NDArray[np.float32] | None] = []
        # Words of the phones that wait for a duration, and phones of a word not yet timed in full.
        self._pending_words: list[tuple[int, int]] = []
        self._unfinished: list[tuple[int, float, tuple[int, int]]] = []
        # Per timed phone: id, end time, word and the word of its letters.
        self._ids: list[int] = []
        self._ends_s: list[float] = []
        self._words: list[int] = []
        self._letters: list[int] = []
        self._slot = 0
        self.finished = False
        self.left_out: list[str] = []
        """Written words that cannot be said: letters of a script without spelling names."""

    @property
    def known_s(self) -> float:
        """How far the speech is known."""
        return self._ends_s[-1] if self._ends_s else 0.0

    @property
    def position_s(self) -> float:
        """How far the speech has been given out."""
        return self._slot * SLOT_S

    @property
    def over(self) -> bool:
        """Whether all the text that will ever come has been given out."""
        return self._timing.finished and self.position_s >= self.known_s

    @property
    def words(self) -> list[str]:
        """The spoken words that phones have been made of, punctuation included."""
        return list(self._spoken)

    def timeline(self) -> list[TimedPhone]:
        """Every phone on the clock so far, in order."""
        starts_s = [0.0, *self._ends_s][: len(self._ends_s)]
        rows = zip(self._ids, starts_s, self._ends_s, self._words, self._letters, strict=True)
        return [TimedPhone(*row) for row in rows]

    def write(self, text: str, hidden: NDArray[np.float32] | None) -> None:
        """Append written text and the thinker's state behind it."""
        for character in text:
            self._written += 1
            if character.isspace():
                self._end_word()
            else:
                self._partial.append(character)
                self._hidden = hidden if hidden is not None else self._hidden

    def finish(self) -> None:
        """No more text: what was waited for is final."""
        if not self.finished:
            self._end_word()
            self.finished = True

    def _end_word(self) -> None:
        if self._partial:
            self._queue.append(_Written("".join(self._partial), self._written, self._hidden))
        elif self._queue:
            # White space after a word belongs to it.
            self._queue[-1] = replace(self._queue[-1], end=self._written)
        elif self._word_end:
            self._word_end[-1] = self._written
        self._partial, self._hidden = [], None

    def _take_word(self) -> bool:
        """Give the next written word to the networks; False when there is none to be had yet."""
        if not self._queue:
            return self._take_end()
        word = self._queue[0]
        after = self._queue[1].text if len(self._queue) > 1 else ""
        if not after and not self.finished and needs_next(word.text):
            return False
        self._queue.popleft()
        spoken = spoken_word(word.text, self._before, after)
        self._before = word.text
        if spoken:
            self._spoken.append(spoken)
            if self._reader.text:
                spoken = f" {spoken}"
            self._word_of += [len(self._word_end)] * len(spoken)
            self._word_end.append(word.end)
            self._word_state.append(word.hidden)
            self._reader.write(spoken)
            unread = len(self._reader.text) - self._reader.done
            if unread >= self._reader.model.look_ahead + _BLOCK:
                self._time()
        else:
            if is_left_out(word.text):
                self.left_out.append(word.text)
            if self._word_end:
                self._word_end[-1] = word.end
        return True

    def _take_end(self) -> bool:
        if not self.finished or self._timing.finished:
            return False
        self._reader.finished = True
        self._time()
        return True

    def _time(self) -> None:
        """Put on the clock what became final."""
        for phone, character in self._reader.read():
            letters = word = self._word_of[character]
            if self._pending_words and phone not in (_SPACE, _BEGIN):
                # What follows without a space goes on with the word before.
                ended = self._timing.phones[-1] == _REST
                word = word if ended else self._pending_words[-1][0]
            self._timing.phones.append(phone)
            self._pending_words.append((word, letters))
        if self._reader.finished:
            if self._timing.phones and self._timing.phones[-1] != _REST:
                self._timing.phones.append(_REST)
                self._pending_words.append(self._pending_words[-1])
            self._timing.finished = True
        for index, seconds in self._timing.read():
            row = self._timing.phones[index], seconds / self._speed, self._pending_words[index]
            if self._unfinished and self._unfinished[-1][2][0] != row[2][0]:
                self._commit()
            self._unfinished.append(row)
        if self._timing.finished:
            self._commit()

    def _commit(self) -> None:
        for phone, seconds, (word, letters) in self._unfinished:
            self._ids.append(phone)
            self._ends_s.append(self.known_s + seconds)
            self._words.append(word)
            self._letters.append(letters)
        self._unfinished = []

    def ready(self, seconds: float) -> bool:
        """Read so far ahead; whether the next ``seconds`` of speech, or all there is, are known."""
        while self.known_s - self.position_s < seconds:
            if not self._take_word():
                return self._timing.finished
        return True

    def rest_if_behind(self, seconds: float) -> None:
        """Insert one tick of rest at the next end of a word when text is coming too slowly."""
        if self.ready(seconds):
            return
        now = self.position_s
        first = int(np.searchsorted(self._ends_s, now))
        gaps = (i for i in range(first, len(self._ids)) if self._ids[i] in (_SPACE, _REST))
        gap = next(gaps, None)
        if gap is None:
            self._ids.append(_REST)
            self._ends_s.append(max(self.known_s, now) + _TICK_S)
            self._words.append(self._words[-1] if self._words else 0)
            self._letters.append(self._words[-1])
            return
        for index in range(gap, len(self._ends_s)):
            self._ends_s[index] += _TICK_S

    def occupancy(self, slots: int) -> NDArray[np.float32]:
        """Occupancy of each phone in the next ``slots`` slots, [slots, phones]."""
        # Phones long past cannot matter; searching only the recent ones keeps the cost constant.
        start = int(np.searchsorted(self._ends_s, self.position_s - 1.0))
        offset = self._ends_s[start - 1] if start else 0.0
        ends = np.asarray(self._ends_s[start:])
        ids = np.asarray(self._ids[start:], dtype=np.int64)
        if start:
            ends = np.concatenate([[offset], ends])
            ids = np.concatenate([[_REST], ids])
        return phone_occupancy(ids, ends, self._slot, slots)

    def _phone_now(self) -> int:
        middle = self.position_s + _TICK_S / 2
        return min(int(np.searchsorted(self._ends_s, middle)), len(self._words) - 1)

    def thinker_state(self, width: int) -> NDArray[np.float32]:
        """The thinker's state behind the word of this tick, [width]; zeros where there is none."""
        state = self._word_state[self._words[self._phone_now()]]
        return np.zeros(width, np.float32) if state is None else state

    def advance(self) -> None:
        """One tick has been spoken."""
        self._slot += _TICK_SLOTS

    def spoken(self) -> int:
        """Written characters whose words have sounded in full."""
        index = int(np.searchsorted(self._ends_s, self.position_s + 1e-9))
        if index >= len(self._words):
            if self._timing.finished:
                return self._written
            return self._word_end[self._words[-1]] if self._words else 0
        # A space belongs to the word it leads to, so the word before it has sounded.
        word = self._words[index]
        return self._word_end[word - 1] if word else 0
