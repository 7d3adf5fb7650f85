"""The mouth's tick on ONNX Runtime: phones on the clock and the token before -> the next token.

It steps as ``reference.mouth`` does, in a fraction of the time.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duplex_agent.runtime.checkpoint import under
from duplex_agent.runtime.onnx_session import open_session, run
from duplex_agent.voice.config import (
    FASTEST_TIME,
    LATENT_WIDTH,
    TIME_FREQUENCIES,
    MouthConfig,
    Sampling,
    step_times,
)

Array = NDArray[np.float32]
Weights = dict[str, Array]
OUTSIDE_GRAPHS = ("latent_", "head.start_time.", "head.end_time.")
"""What names of weights begin with that are used outside of the graphs."""


@dataclass(frozen=True)
class MouthState:
    """Keys and values of the last ticks, [layers][B, H, <= window, D / H], and the position.

    ``previous`` [B, 48] is the last token, normalised. A state is never changed: stepping from it
    twice gives the same twice.
    """

    keys: list[Array]
    values: list[Array]
    position: int
    previous: Array


class OnnxMouth:
    """Talker and flow head, one tick at a time."""

    def __init__(
        self, config: MouthConfig, sampling: Sampling, weights: Weights, talker: Path, head: Path
    ) -> None:
        """``talker`` and ``head``: what ``mouth_graph`` wrote; ``weights``: at least
        ``OUTSIDE_GRAPHS``. CheckpointError when ONNX Runtime cannot run the graphs.
        """
        self.config, self.sampling = config, sampling
        self._mean, self._deviation = weights["latent_mean"], weights["latent_deviation"]
        self._start_time = under(weights, "head.start_time.")
        self._end_time = under(weights, "head.end_time.")
        self._times = cache(self._embed_steps)
        self._talker, self._head = open_session(talker), open_session(head)

    def new_state(self, batch: int = 1) -> MouthState:
        """Before the first tick."""
        config = self.config
        empty = np.zeros((batch, config.heads, 0, config.width // config.heads), np.float32)
        memory = [empty] * config.layers
        return MouthState(memory, memory, 0, np.zeros((batch, LATENT_WIDTH), np.float32))

    def step(
        self, slots: Array, thinker: Array, noise: Array, state: MouthState, steps: int
    ) -> tuple[Array, MouthState]:
        """One tick: slots [B, 12, phones], thinker [B, 576], noise [B, 48] -> token [B, 48]."""
        times = self._times(steps)
        cos, sin = rotation(state.position, self.config.width // self.config.heads)
        inputs = {
            "slots": slots.reshape(len(slots), 1, -1),
            "previous": state.previous[:, None],
            "thinker": thinker[:, None],
            "times": times,
            "cos": cos,
            "sin": sin,
        }
        for index, (keys, values) in enumerate(zip(state.keys, state.values, strict=True)):
            inputs[f"past_key.{index}"], inputs[f"past_value.{index}"] = keys, values
        modulations, *present = run(self._talker, inputs)
        token = noise
        for step in range(len(times)):
            inputs = {"noisy": token, "modulation": modulations[:, step]}
            velocity: Array = run(self._head, inputs)[0]
            token = token + velocity / np.float32(len(times))
        after = MouthState(present[::2], present[1::2], state.position + 1, token)
        return token * self._deviation + self._mean, after

    def _embed_steps(self, steps: int) -> Array:
        """What the head is told of the time in every step, [steps, width]."""
        starts, ends = step_times(steps, self.sampling)
        both = _embed(starts, self._start_time) + _embed(ends, self._end_time)
        return np.float32(0.5) * both


def rotation(position: int, width: int) -> tuple[Array, Array]:
    """Cosines and sines [1, d / 2] of rotary embedding (arXiv 2104.09864), ``width`` d."""
    half = width // 2
    exponents = np.arange(half, dtype=np.float32) / np.float32(half)
    angles = np.float32(position) * np.float32(10_000) ** -exponents
    return np.cos(angles)[None], np.sin(angles)[None]


def _embed(times: Array, weights: Weights) -> Array:
    exponents = np.linspace(0, math.log(FASTEST_TIME), TIME_FREQUENCIES, dtype=np.float32)
    angles = times[:, None] * np.exp(exponents)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    hidden = waves @ weights["enter.weight"].T + weights["enter.bias"]
    embedded: Array = _silu(hidden) @ weights["out.weight"].T + weights["out.bias"]
    return embedded


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))
