"""Characters -> phones as a text grows, with a small convolutional speller trained with CTC.

Every character owns three output slots; the best path through them is the pronunciation, and the
slot a phone comes from says which character it voices, so the pointer into the text is monotonic
by construction. The symbols are those of the teacher voice (espeak-ng's IPA for English, with
``^`` and ``$`` around a sentence).
"""

from dataclasses import dataclass
from typing import Final, Protocol

from duplex_agent.voice.spoken_text import SPEAKABLE

PHONES: Final = (
    " ", "ˈ", "ɪ", "t", "ː", "n", "d", "s", "ɹ", "a", "l", "ə", "i", "ʊ", "k", "æ", "^", "$", "ˌ",
    "m", "ʌ", "ɛ", "ð", "w", ".", "z", "u", "b", "p", "o", "ɔ", "v", "e", "h", "ɑ", "f", "ŋ", "j",
    "ɚ", "ɐ", "ɡ", "ʃ", "ɾ", "ʲ", ",", "ʒ", "ᵻ", "θ", "ɜ", "?", "!", "̩", "ʔ", ":", ";",
)  # fmt: skip
PHONE_ID: Final = {phone: index for index, phone in enumerate(PHONES)}
BLANK: Final = len(PHONES)
SLOTS_PER_CHARACTER: Final = 3
_CHARACTER_ID = {character: index + 1 for index, character in enumerate(SPEAKABLE)}


def character_ids(text: str) -> list[int]:
    """Ids of speakable characters (see ``spoken_text.speakable``); 0 is padding."""
    return [_CHARACTER_ID[c] for c in text]


class Speller(Protocol):
    """What reading asks of ``OnnxPhones``, or of what stands for it."""

    @property
    def look_ahead(self) -> int: ...

    @property
    def look_back(self) -> int: ...

    def best_slots(self, text: str) -> list[int]:
        """Most likely symbol of each of the ``3 * len(text)`` slots, ``BLANK`` included."""
        ...


@dataclass
class PhoneReader:
    """Reads a growing text and gives its phones once they can no longer change."""

    model: Speller
    text: str = ""
    done: int = 0
    last_slot: int = BLANK
    finished: bool = False

    def write(self, text: str) -> None:
        self.text += text

    def read(self) -> list[tuple[int, int]]:
        """New ``(phone id, index of its character)`` pairs, in order."""
        ready = len(self.text) if self.finished else len(self.text) - self.model.look_ahead
        if ready <= self.done:
            return []
        start = max(0, self.done - self.model.look_back)
        slots = self.model.best_slots(self.text[start:])
        phones = []
        for character in range(self.done, ready):
            at = (character - start) * SLOTS_PER_CHARACTER
            for slot in slots[at : at + SLOTS_PER_CHARACTER]:
                if slot not in (BLANK, self.last_slot):
                    phones.append((slot, character))
                self.last_slot = slot
        self.done = ready
        return phones
