"""The voice on PyTorch's modules, several times slower: what the served one is compared with."""

from pathlib import Path

import torch

from duplex_agent.runtime import torch_checkpoint
from duplex_agent.runtime.checkpoint import WEIGHTS_DIR
from duplex_agent.voice.reference.codec import CodecDecoder, CodecState
from duplex_agent.voice.reference.mouth import Mouth, MouthState
from duplex_agent.voice.reference.mouth_file import load_mouth
from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.timing import Timing
from duplex_agent.voice.voice import Array, Voice, VoiceSettings
from duplex_agent.voice.weights import CODEC_FILE, MOUTH_FILE, TEXT_FILE


class TorchMouth:
    """A mouth that takes and gives arrays; its states hold tensors."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self.config, self.sampling = mouth.config, mouth.sampling

    def new_state(self, batch: int = 1) -> MouthState:
        return self._mouth.new_state(batch)

    def step(
        self, slots: Array, thinker: Array, noise: Array, state: MouthState, steps: int
    ) -> tuple[Array, MouthState]:
        """As ``OnnxMouth.step``."""
        told, thought, drawn = (torch.from_numpy(x) for x in (slots, thinker, noise))
        token, state = self._mouth.step(told, thought, drawn, state, steps)
        return token.numpy(), state


class TorchCodec:
    """A codec that takes and gives arrays; its states hold tensors."""

    def __init__(self, decoder: CodecDecoder) -> None:
        self._decoder = decoder

    def new_state(self, batch: int = 1) -> CodecState:
        return self._decoder.new_state(batch)

    @torch.inference_mode()
    def __call__(self, latents: Array, state: CodecState) -> tuple[Array, CodecState]:
        """As ``OnnxCodec``."""
        pcm, state = self._decoder(torch.from_numpy(latents), state)
        return pcm.numpy(), state


def load_torch_voice(settings: VoiceSettings | None = None, folder: Path = WEIGHTS_DIR) -> Voice:
    """As ``load_voice``; a mouth of codes speaks as well. Raises CheckpointError."""
    codec, phones, timing = CodecDecoder(), Phones(), Timing()
    tensors, _ = torch_checkpoint.load(folder / CODEC_FILE)
    torch_checkpoint.load_module(codec, tensors)
    tensors, _ = torch_checkpoint.load(folder / TEXT_FILE)
    torch_checkpoint.load_module(phones, tensors, "phones.")
    torch_checkpoint.load_module(timing, tensors, "timing.")
    mouth, _ = load_mouth(folder / MOUTH_FILE)
    return Voice(phones, timing, TorchMouth(mouth), TorchCodec(codec), settings)
