"""A recording understood: what was said in it, and when."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from duplex_agent.audio.files import AudioReader
from duplex_agent.clock import TICK_MS, USER_RATE_HZ
from duplex_agent.ear.hearing import DEFAULT_LOOK_AHEAD, HeardWord, follow
from duplex_agent.offline.progress import progress
from duplex_agent.offline.recording import ticks_of
from duplex_agent.terminal import Console

PHRASE_GAP_MS: Final = 800  # words further apart than this start a new line


@dataclass(frozen=True)
class Span:
    """Words understood between two times."""

    start_ms: int
    end_ms: int
    text: str


def listen_file(source: Path, look_ahead_ticks: int = DEFAULT_LOOK_AHEAD) -> list[Span]:
    """Print what the ear understands of a recording, with times. Raises AudioError."""
    console = Console()
    spans: list[Span] = []
    words: list[HeardWord] = []
    with AudioReader(source, USER_RATE_HZ) as reader:
        length_s = reader.scan()
        # Heavy, so after the file is known to be sound.
        from duplex_agent.ear.load import load_ear

        ear = load_ear(look_ahead_ticks=look_ahead_ticks)
        state = ear.new_state()
        with progress(length_s) as advance:
            # A second of silence brings out what is still inside.
            for pcm in ticks_of(reader, length_s + 1):
                follow(words, ear.step(state, pcm))
                advance()
    for word in words:
        _add_word(spans, word)
    for span in spans:
        start_s, end_s = span.start_ms / 1000, span.end_ms / 1000
        console.print(f"{start_s:8.2f} - {end_s:.2f} s  {span.text.strip()}")
    if not spans:
        console.print("nothing understood")
    return spans


def _add_word(spans: list[Span], word: HeardWord) -> None:
    start_ms, end_ms = word.first_tick * TICK_MS, (word.last_tick + 1) * TICK_MS
    if spans and start_ms - spans[-1].end_ms <= PHRASE_GAP_MS:
        last = spans.pop()
        spans.append(Span(last.start_ms, end_ms, last.text + word.text))
    else:
        spans.append(Span(start_ms, end_ms, word.text))
