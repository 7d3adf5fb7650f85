"""Smart Turn v3.2 (BSD-2, github.com/pipecat-ai/smart-turn): is this the end of the turn?

A Whisper-tiny encoder with a classifier, int8 ONNX. It hears the last eight seconds of the turn,
padded in front with silence, normalised to zero mean and unit variance, as Whisper's log-mel.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent import assets
from duplex_agent.clock import USER_RATE_HZ

SECONDS: Final = 8
COMPLETE: Final = 0.5  # probability from which its authors call a turn complete


class SmartTurn:
    """The loaded classifier. Raises AssetError when it cannot be had."""

    def __init__(self) -> None:
        import onnxruntime
        from transformers import WhisperFeatureExtractor

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._network: Any = onnxruntime.InferenceSession(
            assets.path("smart-turn"), options, providers=["CPUExecutionProvider"]
        )
        self._features: Any = WhisperFeatureExtractor(chunk_length=SECONDS)

    def probability(self, turn: NDArray[np.float32]) -> float:
        """That the turn ``turn`` [n] at 16 kHz, heard up to now, is complete."""
        audio = turn[-SECONDS * USER_RATE_HZ :]
        audio = np.pad(audio, (SECONDS * USER_RATE_HZ - len(audio), 0))
        features = self._features(
            audio, sampling_rate=USER_RATE_HZ, return_tensors="np", do_normalize=True
        )["input_features"]
        [result] = self._network.run(None, {"input_features": features.astype(np.float32)})
        return float(result[0, 0])
