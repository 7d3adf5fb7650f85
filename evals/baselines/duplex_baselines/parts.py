"""The cascade's recogniser and voice: faster-whisper tiny.en and Piper, on one CPU thread each."""

import json
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.clock import AGENT_RATE_HZ

Audio = NDArray[np.float32]


class Recogniser(Protocol):
    """Sound to words."""

    def transcribe(self, pcm: Audio) -> str:
        """Words in ``pcm`` [n] at 16 kHz; "" for none."""
        ...


class Synthesiser(Protocol):
    """Words to sound."""

    def say(self, text: str) -> Audio:
        """``text`` as float32 [n] at 24 kHz; empty when nothing in it can be spoken."""
        ...


class FasterWhisper:
    """Whisper tiny.en, int8, greedy. Raises AssetError when it cannot be had."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        folder = assets.path("whisper-tiny.en").parent
        for part in ("tokenizer", "config", "vocabulary"):
            assets.path(f"whisper-tiny.en-{part}")
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)

    def transcribe(self, pcm: Audio) -> str:
        # temperature 0 only: the fallback to sampling would make two runs differ
        segments, _ = self._model.transcribe(
            pcm,
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)


class Piper:
    """Piper's voice joe (GPL-3 program, CC0 voice). Raises AssetError when it cannot be had.

    Piper draws noise inside its network and cannot be seeded from outside; without noise the same
    sentence sounds the same whatever was spoken before.
    """

    def __init__(self) -> None:
        import onnxruntime
        from piper import PiperVoice
        from piper.config import PiperConfig, SynthesisConfig

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        network = onnxruntime.InferenceSession(
            str(assets.path("piper-joe")), options, providers=["CPUExecutionProvider"]
        )
        settings = json.loads(assets.path("piper-joe-config").read_text("utf-8"))
        self._voice: Any = PiperVoice(session=network, config=PiperConfig.from_dict(settings))
        self._synthesis = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)

    def say(self, text: str) -> Audio:
        chunks = list(self._voice.synthesize(text, self._synthesis))
        if not chunks:
            return np.zeros(0, np.float32)
        pcm = np.concatenate([chunk.audio_float_array for chunk in chunks])
        audio = soxr.resample(pcm, chunks[0].sample_rate, AGENT_RATE_HZ)
        return np.asarray(audio, np.float32).clip(-1.0, 1.0)
