"""What the voice is about to say, on its own clock: phones with end times, words behind them.

Text comes in as it is written; words, phones and durations come out as soon as they are final.
"""

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS
from duplex_agent.model.phones import PHONE_ID, PhoneReader, Phones
from duplex_agent.model.slots import SLOT_S, phone_shares
from duplex_agent.model.spoken_text import speakable
from duplex_agent.model.timing import Timing, TimingReader

_REST = PHONE_ID["$"]
_SPACE = PHONE_ID[" "]
_TICK_S = TICK_MS / 1000
_TICK_SLOTS = round(_TICK_S / SLOT_S)


class Script:
    """Written text -> phones on the clock -> how many written characters have been voiced."""

    def __init__(self, phones: Phones, timing: Timing) -> None:
        self._reader = PhoneReader(phones)
        self._timing = TimingReader(timing)
        self._partial = ""
        self._written = 0
        self._hidden: NDArray[np.float32] | None = None
        # Per spoken character: the word it belongs to.
        self._word_of: list[int] = []
        # Per word: written characters up to its end, and the thinker's state behind it.
        self._word_end: list[int] = []
        self._word_state: list[NDArray[np.float32] | None] = []
        # Per timed phone: id, end time and word.
        self._ids: list[int] = []
        self._ends_s: list[float] = []
        self._words: list[int] = []
        self._pending_words: list[int] = []
        self._slot = 0
        self.finished = False

    @property
    def known_s(self) -> float:
        """How far the speech is known."""
        return self._ends_s[-1] if self._ends_s else 0.0

    @property
    def position_s(self) -> float:
        """How far the speech has been given out."""
        return self._slot * SLOT_S

    def write(self, text: str, hidden: NDArray[np.float32] | None) -> None:
        """Append written text and the thinker's state behind it."""
        for character in text:
            self._written += 1
            if character.isspace():
                self._end_word()
            else:
                self._partial += character
                self._hidden = hidden if hidden is not None else self._hidden
        self._pull()

    def finish(self) -> None:
        """No more text: what was waited for is final."""
        if self.finished:
            return
        self._end_word()
        self.finished = self._reader.finished = True
        self._pull()

    def _end_word(self) -> None:
        spoken = speakable(self._partial)
        if spoken and any(c.isalpha() for c in spoken):
            if self._reader.text:
                spoken = f" {spoken}"
            self._word_of += [len(self._word_end)] * len(spoken)
            self._word_end.append(self._written)
            self._word_state.append(self._hidden)
            self._reader.write(spoken)
        elif self._word_end:
            self._word_end[-1] = self._written
        self._partial, self._hidden = "", None

    def _pull(self) -> None:
        for phone, character in self._reader.read():
            self._timing.phones.append(phone)
            self._pending_words.append(self._word_of[character])
        if self._reader.finished and not self._timing.finished:
            if self._timing.phones and self._timing.phones[-1] != _REST:
                self._timing.phones.append(_REST)
                self._pending_words.append(self._pending_words[-1])
            self._timing.finished = True
        for index, seconds in self._timing.read():
            self._ids.append(self._timing.phones[index])
            self._ends_s.append(self.known_s + seconds)
            self._words.append(self._pending_words[index])

    def ready(self, seconds: float) -> bool:
        """Whether the next ``seconds`` of speech are known."""
        if self.finished:
            return bool(self._ids)
        return self.known_s - self.position_s >= seconds

    def rest_if_behind(self, seconds: float) -> None:
        """Insert one tick of rest at the next word boundary when text is coming too slowly."""
        if self.finished or self.ready(seconds):
            return
        now = self.position_s
        for index, (phone, end) in enumerate(zip(self._ids, self._ends_s, strict=True)):
            if phone in (_SPACE, _REST) and end >= now:
                late = range(index, len(self._ends_s))
                break
        else:
            late = range(len(self._ends_s), len(self._ends_s))
        if not late:
            self._ids.append(_REST)
            self._ends_s.append(max(self.known_s, now) + _TICK_S)
            self._words.append(self._words[-1] if self._words else 0)
            return
        for index in late:
            self._ends_s[index] += _TICK_S

    def shares(self, slots: int) -> NDArray[np.float32]:
        """Phone shares of the next ``slots`` slots, [slots, phones]."""
        # Phones long past cannot matter; searching only the recent ones keeps the cost constant.
        start = int(np.searchsorted(self._ends_s, self.position_s - 1.0))
        offset = self._ends_s[start - 1] if start else 0.0
        ends = np.asarray(self._ends_s[start:])
        ids = np.asarray(self._ids[start:], dtype=np.int64)
        if start:
            ends = np.concatenate([[offset], ends])
            ids = np.concatenate([[_REST], ids])
        return phone_shares(ids, ends, self._slot, slots)

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
            if self.finished:
                return self._written
            return self._word_end[self._words[-1]] if self._words else 0
        # A space belongs to the word it leads to, so the word before it has sounded.
        word = self._words[index]
        return self._word_end[word - 1] if word else 0
