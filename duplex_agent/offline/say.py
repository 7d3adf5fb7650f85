"""A text spoken into a file."""

import time
from pathlib import Path
from typing import Final

from duplex_agent.audio.files import WavWriter
from duplex_agent.clock import AGENT_RATE_HZ, TICK_MS
from duplex_agent.errors import TextError
from duplex_agent.offline.progress import progress
from duplex_agent.printable import printable
from duplex_agent.terminal import Console

CHARS_PER_S: Final = 15  # about as fast as it speaks


def say_text(text: str, out: Path, speed: float = 1.0) -> float:
    """Speak a text into a mono WAV at 24 kHz; gives its seconds.

    Raises TextError when the text is too long, nothing in it can be spoken, or ``speed`` is out of
    range, AudioError when the file cannot be written.
    """
    from duplex_agent.voice.spoken_text import speakable
    from duplex_agent.voice.voice import LONGEST_TEXT, VoiceSettings, load_voice

    if not text.strip():
        raise TextError("there is nothing to say: the text is empty")
    if len(text) > LONGEST_TEXT:
        raise TextError(f"the text has {len(text)} characters, more than {LONGEST_TEXT}; split it")
    if not speakable(text):
        raise TextError(f"nothing in {text[:40]!r} can be spoken")
    stream = load_voice(VoiceSettings(speed=speed)).start()
    stream.write(text)
    stream.finish()
    begun = time.perf_counter()
    ticks = 0
    with WavWriter(out, AGENT_RATE_HZ, 1) as writer, progress(len(text) / CHARS_PER_S) as advance:
        done = False
        while not done:
            spoken = stream.tick()
            done = spoken.done
            writer.write(spoken.pcm)
            ticks += 1
            advance()
    seconds = ticks * TICK_MS / 1000
    rtf = (time.perf_counter() - begun) / seconds
    console = Console()
    console.print(f"{printable(str(out))}: {seconds:.1f} s of speech, {rtf:.2f} of real time")
    if stream.left_out:
        words = " ".join(stream.left_out)
        console.print(f"left out, for it cannot be spoken: {words}")
    return seconds
