"""Does a long reply wear out? The same sentences in its first and its last minute."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.model.script import Script
from duplex_agent.model.voice import Voice
from duplex_evals.recogniser import transcribe, word_errors
from duplex_evals.voice_speaking import Sound, for_listeners


@dataclass(frozen=True)
class Drift:
    """WER of the same words at the beginning and at the end of a reply of ``seconds``."""

    seconds: float
    first_wer: float
    last_wer: float
    words: int
    first_heard: str
    last_heard: str


def long_reply(voice: Voice, sentences: list[str], minutes: float) -> tuple[str, str, str]:
    """Text of a reply of about ``minutes``: a minute of it, other sentences, the first again."""
    lengths = [_seconds(voice, s) for s in sentences]
    part_s = min(60.0, minutes * 60 / 3)
    count = _until(lengths, part_s)
    frame = " ".join(sentences[:count])
    left_s = minutes * 60 - 2 * sum(lengths[:count])
    rest = _until(lengths[count:], left_s)
    return frame, " ".join(sentences[count : count + rest]), frame


def _until(lengths: list[float], seconds: float) -> int:
    total = 0.0
    for count, length in enumerate(lengths):
        total += length
        if total >= seconds:
            return count + 1
    return len(lengths)


def _seconds(voice: Voice, text: str) -> float:
    script = Script(voice.phones, voice.timing, voice.settings.speed)
    script.write(text, None)
    script.finish()
    script.ready(float("inf"))
    return script.known_s


def drift(
    voice: Voice, sentences: list[str], minutes: float, seed: int, advance: Callable[[], None]
) -> Drift:
    """Speak one long reply and compare its ends; ``advance`` is called once per second of it."""
    first, middle, last = long_reply(voice, sentences, minutes)
    text = f"{first} {middle} {last}"
    stream = voice.start(seed)
    stream.write(text)
    stream.finish()
    pieces: list[Sound] = []
    begins, ends = 0, 0
    done = False
    while not done:
        spoken = stream.tick()
        done = spoken.done
        pieces.append(spoken.pcm)
        if not ends and spoken.chars_spoken >= len(first):
            ends = len(pieces)
        if not begins and spoken.chars_spoken >= len(text) - len(last):
            begins = len(pieces)
        if len(pieces) * TICK_MS % 1000 < TICK_MS:
            advance()
    pcm = np.concatenate(pieces)
    head = transcribe(for_listeners(pcm[: ends * AGENT_TICK_SAMPLES]))
    tail = transcribe(for_listeners(pcm[begins * AGENT_TICK_SAMPLES :]))
    one, two = word_errors(first, head), word_errors(last, tail)
    return Drift(len(pieces) * TICK_MS / 1000, one.rate, two.rate, one.words, head, tail)
