"""Continuous speech tokens -> 24 kHz sound, one token at a time, causal.

Causal ConvNeXt blocks at the token rate and at 100 Hz read the tokens; from what they find come
the pitch and, for every frame, two filters: one shapes pulses at that pitch, the other noise. The
sum goes through an inverse STFT. Pulses make harmonics sharp from the first training step on,
which a network that has to invent every phase learns only from a long adversarial training.
One token in gives exactly 1,920 samples out, 15 ms (the overlap of the synthesis window) later
than the token. A state in, a state out: offline decoding is one step with all tokens.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.voice.config import (
    BINS,
    CODEC_KERNEL,
    FRAMES_PER_TOKEN,
    HIGHEST_HZ,
    HOP_SAMPLES,
    LATENT_WIDTH,
    LOUDEST_LOG_GAIN,
    LOWEST_HZ,
    MIDDLE_HZ,
    OVERLAP_GAIN,
    WINDOW_SAMPLES,
    CodecConfig,
)
from duplex_agent.voice.reference.excitation import advance_phase, noise_spectra, pulse_spectra

OUTPUT_DELAY_SAMPLES = (WINDOW_SAMPLES - HOP_SAMPLES) // 2


@dataclass
class CodecState:
    """What decoding must remember.

    A tail per block [batch, width, 6], the overlap [batch, 720], phase (float64) and pitch of the
    last frame [batch], and how many frames there were [batch].
    """

    tails: list[Tensor]
    overlap: Tensor
    phase: Tensor
    hz: Tensor
    frames: Tensor

    def clone(self) -> "CodecState":
        return replace(
            self,
            tails=[t.clone() for t in self.tails],
            overlap=self.overlap.clone(),
            phase=self.phase.clone(),
            hz=self.hz.clone(),
            frames=self.frames.clone(),
        )


@dataclass(frozen=True)
class Shape:
    """What the network says of every frame: log pitch over 90 Hz [batch, n], complex filter of
    the pulses and real filter of the noise [batch, n, 481]. Where nothing is voiced, the filter of
    the pulses lets nothing through.
    """

    log_pitch: Tensor
    pulses: Tensor
    noise: Tensor

    @property
    def hz(self) -> Tensor:
        """Pitch in Hz, kept to what a voice can do."""
        return (self.log_pitch.exp() * MIDDLE_HZ).clamp(LOWEST_HZ, HIGHEST_HZ)


class CausalBlock(nn.Module):
    """ConvNeXt block whose depthwise convolution only looks back."""

    def __init__(self, width: int, expansion: int, scale: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, CODEC_KERNEL, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width * expansion)
        self.down = nn.Linear(width * expansion, width)
        self.gain = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` [batch, time, width] after ``tail`` [batch, width, 6] -> the same, and the tail."""
        history = torch.cat([tail, x.transpose(1, 2)], dim=2)
        y = self.norm(self.conv(history).transpose(1, 2))
        y = self.down(F.gelu(self.up(y)))
        return x + self.gain * y, history[:, :, -(CODEC_KERNEL - 1) :]


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
        self.pitch = nn.Linear(config.width, 1)
        # Per bin: log gain of the pulses, cosine and sine of their phase, log gain of the noise.
        self.head = nn.Linear(config.width, 4 * BINS)
        self._start_like_a_voice()
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)

    def _start_like_a_voice(self) -> None:
        """Quiet pulses in phase over quieter noise, instead of noise at full level."""
        nn.init.normal_(self.head.weight, std=0.01)
        bias = torch.zeros(4, BINS)
        bias[0], bias[1], bias[3] = -4.0, 1.0, -6.0
        with torch.no_grad():
            self.head.bias.copy_(bias.flatten())

    def new_state(self, batch: int = 1) -> CodecState:
        weight = self.enter.weight
        tail = weight.new_zeros(batch, self.config.width, CODEC_KERNEL - 1)
        return CodecState(
            [tail.clone() for _ in self.blocks],
            weight.new_zeros(batch, WINDOW_SAMPLES - HOP_SAMPLES),
            weight.new_zeros(batch, dtype=torch.float64),
            weight.new_full((batch,), MIDDLE_HZ),
            torch.zeros(batch, dtype=torch.long, device=weight.device),
        )

    def shape(self, latents: Tensor, tails: list[Tensor]) -> tuple[Shape, list[Tensor]]:
        """Pitch and filters of every frame of ``latents`` [batch, n, 48], and the new tails."""
        x = self.enter(latents)
        after = []
        for index, (block, tail) in enumerate(zip(self.blocks, tails, strict=True)):
            if index == self.config.token_blocks:
                x = self.expand(x).reshape(x.shape[0], -1, self.config.width)
            x, tail = block(x, tail)
            after.append(tail)
        x = self.norm(x)
        gain, cosine, sine, noise = self.head(x).float().chunk(4, dim=-1)
        length = (cosine.square() + sine.square() + 1e-6).sqrt()
        gain, noise = (part.clamp(max=LOUDEST_LOG_GAIN).exp() for part in (gain, noise))
        filter = torch.complex(cosine / length, sine / length) * gain
        return Shape(self.pitch(x).float().squeeze(-1), filter, noise), after

    def frame_spectra(self, shape: Shape, phase: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Spectra of the voiced part and of the noise, complex [batch, n, 481].

        ``phase`` [batch, n] at the frames' middles; ``first`` [batch]: number of the first frame.
        """
        pulses = pulse_spectra(shape.hz.detach(), phase, self.window) * shape.pulses
        count = phase.shape[1]
        return pulses, noise_spectra(first, count, self.window) * shape.noise

    def overlap_add(self, spectra: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
        """Sound [batch, n * 240] of frame spectra [batch, n, 481], and the overlap to come."""
        frames = torch.fft.irfft(spectra, WINDOW_SAMPLES, dim=-1) * self.window / OVERLAP_GAIN
        done = frames.shape[1] * HOP_SAMPLES
        total = done + WINDOW_SAMPLES - HOP_SAMPLES
        added = F.fold(
            frames.transpose(1, 2), (1, total), (1, WINDOW_SAMPLES), stride=(1, HOP_SAMPLES)
        )[:, 0, 0]
        added = added + F.pad(overlap, (0, total - overlap.shape[1]))
        return added[:, :done], added[:, done:]

    def forward(self, latents: Tensor, state: CodecState) -> tuple[Tensor, CodecState]:
        """``latents`` [batch, n, 48] -> pcm [batch, n * 1920] float32 and the next state."""
        shape, tails = self.shape(latents, state.tails)
        hz = shape.hz
        phase = advance_phase(hz, state.phase, state.hz)
        voiced, noise = self.frame_spectra(shape, phase, state.frames)
        pcm, overlap = self.overlap_add(voiced + noise, state.overlap)
        frames = state.frames + hz.shape[1]
        return pcm, CodecState(tails, overlap, phase[:, -1], hz[:, -1], frames)
