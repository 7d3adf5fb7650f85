"""The agent's voice: text in while it is still being written, 80 ms of sound out per tick.

Text becomes speakable words, words become phones, phones get durations, and the mouth turns what
sounds in each tick into a token that the codec decodes. When the text falls behind, the voice
rests at the end of a word; it never cuts one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ, AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.errors import TextError
from duplex_agent.runtime.checkpoint import WEIGHTS_DIR
from duplex_agent.runtime.onnx_session import Precision
from duplex_agent.voice import noise
from duplex_agent.voice.codec_onnx import OnnxCodec
from duplex_agent.voice.config import (
    LATENT_WIDTH,
    SLOTS_PER_TICK,
    TICKS_SEEN,
    CodecConfig,
    MouthConfig,
    PhonesConfig,
    Sampling,
    TimingConfig,
)
from duplex_agent.voice.mouth_onnx import OUTSIDE_GRAPHS, OnnxMouth
from duplex_agent.voice.phones import PHONE_ID, Speller
from duplex_agent.voice.prepared import CODEC, HEAD, SPELLER, TALKER, TIMING, prepared_graphs
from duplex_agent.voice.script import Script
from duplex_agent.voice.text_onnx import OnnxPhones, OnnxTiming
from duplex_agent.voice.timing import Timer
from duplex_agent.voice.weights import MOUTH_FILE, load_mouth_weights

_FADE_SAMPLES = AGENT_RATE_HZ // 100
_TAIL_TICKS = 2
_SEEN_S = TICKS_SEEN * TICK_MS / 1000
_BEGIN = PHONE_ID["^"]
# The teacher's sentences are all scaled to peaks of 1. The decoder's peaks scatter around that,
# and with no room above them most sentences were clipped.
_LEVEL = 0.6
# What the codec blurs costs fewer words when each sound lasts a little longer than the teacher's.
_PACE = 0.93
LONGEST_TEXT = 20_000
SLOWEST, FASTEST = 0.8, 1.25

Array = NDArray[np.float32]


@dataclass(frozen=True)
class VoiceSettings:
    """How the voice speaks; raises TextError for a speed out of range.

    ``flow_steps`` and ``temperature``: steps of the flow and the variance of its noise.
    ``speed`` divides all durations of the voice's own pace, 0.8 to 1.25.
    """

    flow_steps: int = 2
    temperature: float = 0.5
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not SLOWEST <= self.speed <= FASTEST:
            raise TextError(f"speed {self.speed} is not within {SLOWEST} and {FASTEST}")


@dataclass(frozen=True)
class SpokenTick:
    """80 ms of the voice: ``pcm`` float32 [1920] at 24 kHz, and how far the text has been voiced.

    ``chars_spoken`` counts the characters of all written text whose words have sounded in full.
    """

    pcm: Array
    chars_spoken: int
    done: bool


class Mouth(Protocol):
    """What speaking asks of ``OnnxMouth``, or of what stands for it; states are its own kind."""

    @property
    def config(self) -> MouthConfig: ...

    @property
    def sampling(self) -> Sampling: ...

    def new_state(self, batch: int = 1) -> Any: ...

    def step(
        self, slots: Array, thinker: Array, noise: Array, state: Any, steps: int
    ) -> tuple[Array, Any]: ...


class Codec(Protocol):
    """What speaking asks of ``OnnxCodec``, or of what stands for it; states are its own kind."""

    def new_state(self, batch: int = 1) -> Any: ...

    def __call__(self, latents: Array, state: Any) -> tuple[Array, Any]: ...


class Voice:
    """The loaded voice; ``start`` opens a stream of speech."""

    def __init__(
        self, phones: Speller, timing: Timer, mouth: Mouth,
        codec: Codec, settings: VoiceSettings | None = None,
    ) -> None:  # fmt: skip
        self.phones, self.timing, self.mouth, self.codec = phones, timing, mouth, codec
        self.settings = settings or VoiceSettings()

    def with_settings(self, settings: VoiceSettings) -> "Voice":
        """The same networks, speaking in another way."""
        return Voice(self.phones, self.timing, self.mouth, self.codec, settings)

    def start(self, seed: int = 0) -> "SpeechStream":
        """A new stream, silent until text is written to it."""
        return SpeechStream(self, seed)


class SpeechStream:
    """One reply being spoken. Write text, call ``tick`` every 80 ms until ``done``."""

    def __init__(self, voice: Voice, seed: int) -> None:
        self._voice = voice
        self._script = Script(voice.phones, voice.timing, voice.settings.speed * _PACE)
        self._mouth = voice.mouth.new_state()
        self._codec = voice.codec.new_state()
        self._beginning = False
        self._noise = noise.noise_source(seed)
        self._tick = 0
        self._tail = 0
        self._stopping = False
        self._done = False
        self._written = 0

    def write(self, text: str, hidden: Array | None = None) -> None:
        """Append text; ``hidden`` [width] or [n, width] is the thinker's state behind it.

        States of another width than the mouth has learnt from are left aside: it then speaks from
        the text alone, as it does without any. Words end at white space, so a word may arrive in
        parts. Raises TextError when the reply would grow beyond 20,000 characters or ended
        already; nothing has been written then.
        """
        if self._script.finished:
            raise TextError("this reply was finished; start a new stream to say more")
        if self._written + len(text) > LONGEST_TEXT:
            raise TextError(f"a reply may have at most {LONGEST_TEXT} characters; split the text")
        self._written += len(text)
        row = None if hidden is None else np.atleast_2d(hidden)[-1]
        known = row is not None and len(row) == self._voice.mouth.config.thinker_width
        self._script.write(text, row if known else None)

    @property
    def left_out(self) -> list[str]:
        """Written words passed over so far, because nothing of them can be said."""
        return list(self._script.left_out)

    def finish(self) -> None:
        """No more text will come."""
        self._script.finish()

    def stop(self) -> None:
        """Fade out within 10 ms in the next tick, then be done."""
        self._stopping = True

    def tick(self) -> SpokenTick:
        """The next 80 ms. Silence before the first word is ready and after the end."""
        script = self._script
        silence = np.zeros(AGENT_TICK_SAMPLES, np.float32)
        if self._done:
            return SpokenTick(silence, script.spoken(), True)
        if self._tick == 0 and not (script.ready(_SEEN_S) and script.known_s):
            # Nothing has sounded, so there is nothing to fade; and there may be nothing to say.
            self._done = self._stopping or script.over
            return SpokenTick(silence, script.spoken() if script.over else 0, self._done)
        pcm = self._audio()
        if script.over:
            self._tail += 1
            self._done = self._tail > _TAIL_TICKS
        if self._stopping:
            fade = np.zeros(AGENT_TICK_SAMPLES, np.float32)
            fade[:_FADE_SAMPLES] = np.linspace(1.0, 0.0, _FADE_SAMPLES, dtype=np.float32)
            pcm, self._done = pcm * fade, True
        return SpokenTick(pcm, script.spoken(), self._done)

    def _audio(self) -> Array:
        voice, script = self._voice, self._script
        script.rest_if_behind(_SEEN_S)
        occupancy = script.occupancy(SLOTS_PER_TICK * TICKS_SEEN)
        begins = bool(occupancy[:SLOTS_PER_TICK, _BEGIN].any())
        if begins and not self._beginning:
            # The mouth has learnt from single sentences: in a long reply without a fresh start it
            # fell silent for good after some minutes.
            self._mouth = voice.mouth.new_state()
        self._beginning = begins
        thinker = script.thinker_state(voice.mouth.config.thinker_width)
        drawn = noise.normal(self._noise, 1, LATENT_WIDTH)
        token, self._mouth = voice.mouth.step(
            occupancy[None],
            thinker[None],
            drawn * np.float32(voice.settings.temperature**0.5),
            self._mouth,
            voice.settings.flow_steps,
        )
        pcm, self._codec = voice.codec(token[:, None], self._codec)
        script.advance()
        self._tick += 1
        loud: Array = np.clip(pcm[0] * np.float32(_LEVEL), -1.0, 1.0)
        return loud


def load_voice(
    settings: VoiceSettings | None = None,
    folder: Path = WEIGHTS_DIR,
    precision: Precision = "int8",
) -> Voice:
    """The voice in ``folder``, by default the shipped one, on ONNX Runtime.

    ``precision`` is that of products in mouth and codec; int8 ones take the files' own levels.
    Raises CheckpointError when weight files are missing, broken, or hold NaN, and AssetError when
    the graphs made from them cannot be kept.
    """
    graphs, config = prepared_graphs(folder, precision), MouthConfig()
    weights, sampling = load_mouth_weights(folder / MOUTH_FILE, config, OUTSIDE_GRAPHS)
    return Voice(
        OnnxPhones(PhonesConfig(), graphs / SPELLER),
        OnnxTiming(TimingConfig(), graphs / TIMING),
        OnnxMouth(config, sampling, weights, graphs / TALKER, graphs / HEAD),
        OnnxCodec(CodecConfig(), graphs / CODEC),
        settings,
    )
