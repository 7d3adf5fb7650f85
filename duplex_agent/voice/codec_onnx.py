"""The codec on ONNX Runtime: speech tokens -> 24 kHz sound, as ``reference.codec`` decodes them.

One token in gives exactly 1,920 samples out, 15 ms (the overlap of the synthesis window) later
than the token. A state in, a state out: offline decoding is one step with all tokens.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duplex_agent.runtime.onnx_session import open_session, run
from duplex_agent.voice import synthesis
from duplex_agent.voice.config import CODEC_KERNEL, CodecConfig
from duplex_agent.voice.excitation import Array
from duplex_agent.voice.synthesis import SynthesisState, synthesize


@dataclass(frozen=True)
class CodecState:
    """What decoding must remember: a tail per block [batch, width, 6], and the synthesis' own.

    A state is never changed: decoding from it twice gives the same twice.
    """

    tails: list[Array]
    synthesis: SynthesisState


class OnnxCodec:
    """The streaming decoder."""

    def __init__(self, config: CodecConfig, model: Path) -> None:
        """``model``: what ``codec_graph`` wrote. CheckpointError when it cannot be run."""
        self._config = config
        self._session = open_session(model)

    def new_state(self, batch: int = 1) -> CodecState:
        """Before the first token."""
        config = self._config
        tail = np.zeros((batch, config.width, CODEC_KERNEL - 1), np.float32)
        tails = [tail] * (config.token_blocks + config.frame_blocks)
        return CodecState(tails, synthesis.new_state(batch))

    def __call__(self, latents: Array, state: CodecState) -> tuple[Array, CodecState]:
        """``latents`` [batch, n, 48] -> pcm [batch, n * 1920] float32 and the next state."""
        inputs = {"latents": latents}
        inputs |= {f"tail.{index}": tail for index, tail in enumerate(state.tails)}
        log_pitch, filters, *tails = run(self._session, inputs)
        pcm, after = synthesize(log_pitch, filters, state.synthesis)
        return pcm, CodecState(tails, after)
