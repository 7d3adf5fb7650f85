"""The second pass: in a pause all of the sentence is heard once more, nothing of it hidden.

What an encoder hears tick by tick is good enough to follow a speaker, not to answer one. Once a
pause has come the sound that follows need not be waited for, and the whole sentence can attend to
itself, as in two-pass recognition (arXiv 1908.10992) with cascaded encoders (arXiv 2010.14606).

Its weights lie halfway between Whisper's own and the streaming ear's (arXiv 2109.01903): the ear
learnt from synthetic voices and knows short sounds and noise, Whisper knows people.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from duplex_agent.audio.mel import TAIL_SAMPLES, log_mel
from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.encoder import FEATURES_PER_TICK, EarEncoder
from duplex_agent.ear.encoder_graph import whole_sound_graph
from duplex_agent.runtime.onnx_session import open_session, run

Array = NDArray[np.float32]

EAR_SHARE: Final = 0.5
SILENCE_TICKS: Final = 50
"""Ticks of silence behind every sentence: the decoder stops where a recording comes to rest."""


class SecondPass:
    """An encoder that hears whole sentences, on ONNX Runtime."""

    def __init__(self, encoder: EarEncoder) -> None:
        """Raises CheckpointError when ONNX Runtime cannot run ``encoder``."""
        self._places = encoder.positions
        self._session = open_session(whole_sound_graph(encoder, "fp32"))
        nothing = np.zeros(USER_TICK_SAMPLES, np.float32)
        self.silence: Array = self.features([nothing] * SILENCE_TICKS)
        """What it makes of four seconds of silence, [200, width]."""

    @torch.inference_mode()
    def features(self, ticks: Sequence[Array]) -> Array:
        """Features [4 n, width] of n ``ticks`` [1280] of sound."""
        pcm = torch.from_numpy(np.concatenate(ticks))
        mel = F.pad(log_mel(F.pad(pcm, (TAIL_SAMPLES, 0))), (0, 0, 2, 0))
        places = self._places[: FEATURES_PER_TICK * len(ticks)]
        feeds = {"mel": mel.T[None].contiguous().numpy(), "places": places[None].numpy()}
        [features] = run(self._session, feeds)
        return features[0]


def between(ear: EarEncoder, whisper: dict[str, Tensor], share: float = EAR_SHARE) -> EarEncoder:
    """An encoder whose weights are ``share`` of ``ear``'s and the rest of ``whisper``'s.

    The character head, which Whisper has not, is ``ear``'s.
    """
    mixed = EarEncoder(ear.config, look_ahead_ticks=0)
    own = ear.state_dict()
    mixed.load_state_dict(
        {name: torch.lerp(whisper.get(name, own[name]), own[name], share) for name in own}
    )
    return mixed
