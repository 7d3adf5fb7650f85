"""The mouth's tick on ONNX Runtime: weights and states of ``Mouth``, in a fraction of its time."""

from functools import cache

import torch
from torch import Tensor

from duplex_agent.runtime.onnx_session import Precision, open_session, run
from duplex_agent.voice.flow import step_times
from duplex_agent.voice.mouth import Mouth, MouthState, empty_state, rotation
from duplex_agent.voice.mouth_graph import head_graph, talker_graph


class OnnxMouth:
    """Steps as ``Mouth`` does; either can go on from the other's states."""

    def __init__(self, mouth: Mouth, precision: Precision = "int8") -> None:
        """Raises CheckpointError when ONNX Runtime cannot run the mouth."""
        self.config, self.sampling = mouth.config, mouth.sampling
        self._mean, self._deviation = mouth.latent_mean, mouth.latent_deviation
        self._start_time, self._end_time = mouth.head.start_time, mouth.head.end_time
        self._times = cache(self._embed_steps)
        self._talker = open_session(talker_graph(mouth, precision))
        self._head = open_session(head_graph(mouth, precision))

    def new_state(self, batch: int = 1) -> MouthState:
        """Before the first tick."""
        return empty_state(self.config, torch.zeros(batch, 0))

    @torch.inference_mode()
    def step(
        self, slots: Tensor, thinker: Tensor, noise: Tensor, state: MouthState, steps: int
    ) -> tuple[Tensor, MouthState]:
        """As ``Mouth.step``."""
        times = self._times(steps)
        position = torch.tensor([float(state.position)])
        cos, sin = rotation(position, self.config.width // self.config.heads)
        inputs = {
            "slots": slots.flatten(1)[:, None],
            "previous": state.previous[:, None],
            "thinker": thinker[:, None],
            "times": times,
            "cos": cos,
            "sin": sin,
        }
        for index, (keys, values) in enumerate(zip(state.keys, state.values, strict=True)):
            inputs[f"past_key.{index}"], inputs[f"past_value.{index}"] = keys, values
        fed = {name: x.numpy() for name, x in inputs.items()}
        modulations, *present = map(torch.from_numpy, run(self._talker, fed))
        token = noise
        for modulation in modulations.unbind(1):
            fed = {"noisy": token.numpy(), "modulation": modulation.numpy()}
            (velocity,) = run(self._head, fed)
            token = token + torch.from_numpy(velocity) / len(times)
        after = MouthState(present[::2], present[1::2], state.position + 1, token)
        return token * self._deviation + self._mean, after

    @torch.inference_mode()
    def _embed_steps(self, steps: int) -> Tensor:
        """What the head is told of the time in every step, [steps, width]."""
        starts, ends = step_times(steps, self.sampling)
        return 0.5 * (self._start_time(starts) + self._end_time(ends))
