"""The agent's voice and its teacher's, synthesised for measurement: audio, and its cost."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, TICK_MS, USER_RATE_HZ
from duplex_agent.llm.thinker import Thinker
from duplex_agent.voice.script import Script
from duplex_agent.voice.spoken_text import speakable
from duplex_agent.voice.voice import Voice
from duplex_evals.errors import EvalError

Audio = NDArray[np.float32]
_REPLY_PREFIX = "<|im_start|>assistant\n"
_SEEN_S = 0.24  # of speech that the mouth sees ahead


@dataclass(frozen=True)
class Speech:
    """``pcm`` float32 [n] at 24 kHz, and per tick the wall and CPU time in ms and the
    written characters voiced by its end. ``first_tick``: the first that the mouth made.
    """

    pcm: Audio
    wall_ms: list[float]
    cpu_ms: list[float]
    chars: list[int]
    first_tick: int

    @property
    def seconds(self) -> float:
        return len(self.chars) * TICK_MS / 1000

    @property
    def first_audio_ms(self) -> float:
        """CPU time from the first character to the end of the first tick of the voice."""
        return sum(self.cpu_ms[: self.first_tick + 1])


def speak(voice: Voice, text: str, seed: int, states: Sequence[Audio] | None = None) -> Speech:
    """``text`` in the agent's voice; ``states``: the thinker's row behind every written word."""
    wall, cpu, chars = [], [], []
    chunks: list[Audio] = []
    start, start_cpu = time.perf_counter(), time.thread_time()
    stream = voice.start(seed)
    if states is None:
        stream.write(text)
    else:
        for word, state in zip(text.split(), states, strict=True):
            stream.write(f"{word} ", state)
    stream.finish()
    done = False
    while not done:
        spoken = stream.tick()
        done = spoken.done
        wall.append((time.perf_counter() - start) * 1000)
        cpu.append((time.thread_time() - start_cpu) * 1000)
        chars.append(spoken.chars_spoken)
        chunks.append(spoken.pcm)
        start, start_cpu = time.perf_counter(), time.thread_time()
    first = next((i for i, pcm in enumerate(chunks) if pcm.any()), len(chunks) - 1)
    return Speech(np.concatenate(chunks), wall, cpu, chars, first)


def ticks_until_audio(voice: Voice, text: str) -> int | None:
    """Ticks of silence when one word is written a tick, as a thinker does; None without speech."""
    script = Script(voice.phones, voice.timing)
    for tick, word in enumerate(text.split()):
        script.write(f"{word} ", None)
        if script.ready(_SEEN_S):
            return tick
    script.finish()
    ready = script.ready(_SEEN_S) and script.known_s > 0
    return len(text.split()) if ready else None


def teacher_speech(text: str) -> Audio:
    """``text`` in the teacher's voice, float32 [n] at 24 kHz. Raises EvalError without sound."""
    from duplex_agent.train.data.agent_speech import synthesise

    made = synthesise(speakable(text))
    if made is None:
        raise EvalError(f"the teacher voice says nothing for {text[:40]!r}")
    return made.pcm.astype(np.float32) / np.float32(32768)


def for_listeners(pcm: Audio) -> Audio:
    """24 kHz -> the 16 kHz that recogniser and raters hear."""
    return np.asarray(soxr.resample(pcm, AGENT_RATE_HZ, USER_RATE_HZ), np.float32)


def thinker_states(thinker: Thinker, text: str) -> list[Audio]:
    """The thinker's hidden state [width] after each written word, ``text`` being its reply."""
    words = text.split()
    subwords = [thinker.tokenizer.encode(f" {w}" if i else w) for i, w in enumerate(words)]
    state = thinker.new_state()
    thinker.append(state, thinker.embed(thinker.tokenizer.encode_markup(_REPLY_PREFIX)))
    step = thinker.append(state, thinker.embed([token for word in subwords for token in word]))
    lasts = np.cumsum([len(word) for word in subwords]) - 1
    return [step.hidden[last] for last in lasts]
