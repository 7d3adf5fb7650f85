"""Continuous speech tokens -> 24 kHz sound, one token at a time, causal.

Causal ConvNeXt blocks at the token rate and at 100 Hz, then an inverse-STFT head (Vocos,
arXiv 2306.00814). One token in gives exactly 1,920 samples out, 15 ms (the overlap of the
synthesis window) later than the token. A state in, a state out: offline decoding is one step with
all tokens.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.model.latents import FRAMES_PER_TOKEN, HOP_SAMPLES, LATENT_WIDTH, WINDOW_SAMPLES

OUTPUT_DELAY_SAMPLES = (WINDOW_SAMPLES - HOP_SAMPLES) // 2
_KERNEL = 7


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of the decoder; ``frame_blocks`` run at 100 Hz, ``token_blocks`` at 12.5 Hz."""

    width: int = 320
    token_blocks: int = 2
    frame_blocks: int = 6
    expansion: int = 3


@dataclass
class CodecState:
    """What decoding must remember: a tail per block [batch, width, 6], the overlap [batch, 720]."""

    tails: list[Tensor]
    overlap: Tensor

    def clone(self) -> "CodecState":
        return replace(self, tails=[t.clone() for t in self.tails], overlap=self.overlap.clone())


class CausalBlock(nn.Module):
    """ConvNeXt block whose depthwise convolution only looks back."""

    def __init__(self, width: int, expansion: int, scale: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, _KERNEL, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width * expansion)
        self.down = nn.Linear(width * expansion, width)
        self.gain = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` [batch, time, width] after ``tail`` [batch, width, 6] -> the same, and the tail."""
        history = torch.cat([tail, x.transpose(1, 2)], dim=2)
        y = self.norm(self.conv(history).transpose(1, 2))
        y = self.down(F.gelu(self.up(y)))
        return x + self.gain * y, history[:, :, -(_KERNEL - 1) :]


class CodecDecoder(nn.Module):
    """The streaming decoder; see the module's docstring."""

    window: Tensor

    def __init__(self, config: CodecConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CodecConfig()
        blocks = config.token_blocks + config.frame_blocks
        self.enter = nn.Linear(LATENT_WIDTH, config.width)
        self.blocks = nn.ModuleList(
            CausalBlock(config.width, config.expansion, 1 / blocks) for _ in range(blocks)
        )
        self.expand = nn.Linear(config.width, config.width * FRAMES_PER_TOKEN)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, WINDOW_SAMPLES + 2)
        window = torch.hann_window(WINDOW_SAMPLES)
        self.register_buffer("window", window, persistent=False)

    def new_state(self, batch: int = 1) -> CodecState:
        weight = self.enter.weight
        tail = weight.new_zeros(batch, self.config.width, _KERNEL - 1)
        return CodecState(
            [tail.clone() for _ in self.blocks],
            weight.new_zeros(batch, WINDOW_SAMPLES - HOP_SAMPLES),
        )

    def _frames(self, x: Tensor) -> Tensor:
        """Windowed sound of every frame, [batch, frames, 960], in float32."""
        head = self.head(self.norm(x)).float()
        log_magnitude, phase = head.chunk(2, dim=-1)
        magnitude = log_magnitude.clamp(max=6.0).exp()
        spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        # 0.5: hann windows a quarter apart add up to two.
        return torch.fft.irfft(spectrum, WINDOW_SAMPLES, dim=-1) * self.window * 0.5

    def forward(self, latents: Tensor, state: CodecState) -> tuple[Tensor, CodecState]:
        """``latents`` [batch, n, 64] -> pcm [batch, n * 1920] float32 and the next state."""
        x = self.enter(latents)
        tails = []
        for index, block in enumerate(self.blocks):
            if index == self.config.token_blocks:
                x = self.expand(x).reshape(x.shape[0], -1, self.config.width)
            x, tail = block(x, state.tails[index])
            tails.append(tail)
        frames = self._frames(x)
        count = frames.shape[1]
        total = count * HOP_SAMPLES + WINDOW_SAMPLES - HOP_SAMPLES
        added = F.fold(
            frames.transpose(1, 2), (1, total), (1, WINDOW_SAMPLES), stride=(1, HOP_SAMPLES)
        )[:, 0, 0]
        start = F.pad(state.overlap, (0, total - state.overlap.shape[1]))
        added = added + start
        done = latents.shape[1] * AGENT_TICK_SAMPLES
        return added[:, :done], CodecState(tails, added[:, done:])
