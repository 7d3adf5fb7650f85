"""Is somebody speaking? Silero, WebRTC's detector and their mixture behind one interface.

A detector hears every tick of the user in order and answers with the probability that this
tick holds speech. It decides nothing: turns are the floor's business. Its memory is plain data,
so it can be reset for a new conversation and cloned for a trial run.
"""

from collections import deque
from functools import cache
from typing import Any, Protocol, Self

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.audio.buffers import Blocks
from duplex_agent.clock import USER_RATE_HZ, USER_TICK_SAMPLES

WINDOW = 512  # samples that Silero looks at, 32 ms
CONTEXT = 64  # samples of the window before that it wants in front
FRAME = 320  # samples of a WebRTC frame, 20 ms; four to a tick
# Frames that a cloned WebRTC detector hears again: its noise model follows the last seconds.
REPLAY_FRAMES = 250


class Vad(Protocol):
    """What every detector can do."""

    def step(self, pcm: NDArray[np.float32]) -> float:
        """Probability of speech in this tick [1280] (16 kHz, -1..1)."""
        ...

    def reset(self) -> None:
        """Forget everything heard."""
        ...

    def clone(self) -> Self:
        """A detector that goes on from here on its own."""
        ...


class SileroVad:
    """Silero VAD (MIT, github.com/snakers4/silero-vad), a small recurrent network in ONNX.

    A tick is two and a half windows: the rest waits for the next tick, and the answer is the
    highest probability among the two or three windows that the tick completed.
    """

    def __init__(self, network: Any = None) -> None:
        """``network``: an onnxruntime session to share; by default the asset is loaded."""
        self._network = network if network is not None else load_silero()
        self.reset()

    def reset(self) -> None:
        self._windows = Blocks(WINDOW)
        self._context: NDArray[np.float32] = np.zeros(CONTEXT, dtype=np.float32)
        self._state: NDArray[np.float32] = np.zeros((2, 1, 128), dtype=np.float32)

    def step(self, pcm: NDArray[np.float32]) -> float:
        highest = 0.0
        for window in self._windows.push(pcm):
            feed = {
                "input": np.concatenate([self._context, window])[None],
                "state": self._state,
                "sr": np.array(USER_RATE_HZ, dtype=np.int64),
            }
            probability, self._state = self._network.run(None, feed)
            self._context = window[-CONTEXT:].copy()
            highest = max(highest, float(probability[0, 0]))
        return highest

    def clone(self) -> "SileroVad":
        copy = SileroVad(self._network)
        copy._windows = self._windows.clone()
        copy._context = self._context.copy()
        copy._state = self._state.copy()
        return copy


class WebRtcVad:
    """The Gaussian-mixture detector of WebRTC (BSD), as the share of a tick's frames with speech.

    Its memory sits in C and cannot be copied: a clone hears the last five seconds again.
    """

    def __init__(self, aggressiveness: int = 2) -> None:
        """``aggressiveness`` 0..3: how readily it takes a sound for noise."""
        self._aggressiveness = aggressiveness
        self.reset()

    def reset(self) -> None:
        self._detector = webrtcvad.Vad(self._aggressiveness)
        self._heard: deque[bytes] = deque(maxlen=REPLAY_FRAMES)

    def step(self, pcm: NDArray[np.float32]) -> float:
        frames = to_int16(pcm).reshape(-1, FRAME)
        return sum(self._hear(frame.tobytes()) for frame in frames) / len(frames)

    def clone(self) -> "WebRtcVad":
        copy = WebRtcVad(self._aggressiveness)
        for frame in self._heard:
            copy._hear(frame)
        return copy

    def _hear(self, frame: bytes) -> bool:
        self._heard.append(frame)
        return bool(self._detector.is_speech(frame, USER_RATE_HZ))


class MixedVad:
    """A weighted mean of detectors: a cheap second opinion steadies the first."""

    def __init__(self, parts: list[tuple[float, Vad]]) -> None:
        """``parts``: (weight, detector); weights are scaled to sum to one."""
        if not parts or min(weight for weight, _ in parts) < 0:
            raise ValueError("a mixture needs detectors with weights of at least zero")
        total = sum(weight for weight, _ in parts)
        self._parts = [(weight / total, vad) for weight, vad in parts]

    def step(self, pcm: NDArray[np.float32]) -> float:
        return sum(weight * vad.step(pcm) for weight, vad in self._parts)

    def reset(self) -> None:
        for _, vad in self._parts:
            vad.reset()

    def clone(self) -> "MixedVad":
        return MixedVad([(weight, vad.clone()) for weight, vad in self._parts])


def default_vad() -> Vad:
    """Silero decides; WebRTC's quicker end of speech outweighs Silero's slow decay."""
    return MixedVad([(0.75, SileroVad(_shared_silero())), (0.25, WebRtcVad())])


@cache
def _shared_silero() -> Any:
    return load_silero()


def load_silero() -> Any:
    """Silero's onnxruntime session on one thread. Raises AssetError when it cannot be had."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        assets.path("silero-vad"), options, providers=["CPUExecutionProvider"]
    )


def to_int16(pcm: NDArray[np.float32]) -> NDArray[np.int16]:
    """Float samples in -1..1 as 16-bit integers, clipped."""
    return np.rint(np.clip(pcm, -1.0, 1.0) * 32767).astype(np.int16)


assert USER_TICK_SAMPLES % FRAME == 0
