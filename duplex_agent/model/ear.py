"""The ear's encoder: Whisper tiny.en's layers, run tick by tick with a fixed look-ahead.

Each layer sees four seconds back, and the first ``look_ahead_ticks`` layers also see one tick
(80 ms) ahead of the tick they work on: with four of them the features of tick t are ready when the
sound of tick t + 4 has arrived. One set of weights serves every look-ahead. The streaming pass
keeps keys, values and the inputs that wait for their look-ahead; the offline pass does the same
work with two masks and gives the same numbers.
"""

import math
from dataclasses import dataclass
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duplex_agent.audio.mel import FRAMES_PER_TICK, MELS, TAIL_SAMPLES, log_mel
from duplex_agent.clock import USER_TICK_SAMPLES

BLANK: Final = 0
CHARACTERS: Final = "-abcdefghijklmnopqrstuvwxyz' "
"""What the character head writes; index 0 is CTC's blank. Every word ends with a space."""
FEATURES_PER_TICK: Final = FRAMES_PER_TICK // 2


@dataclass(frozen=True)
class EarConfig:
    """Sizes of the encoder; the defaults are Whisper tiny.en's."""

    width: int = 384
    heads: int = 6
    depth: int = 4
    context_ticks: int = 50
    positions: int = 1500

    @property
    def ring_ticks(self) -> int:
        """Ticks a layer attends to: the context, the tick itself and the one ahead."""
        return self.context_ticks + 2


@dataclass
class EncoderState:
    """Everything the encoder remembers of B conversations.

    ``tick`` int64 [B] ticks heard so far; ``offset`` int64 [B] position of the first feature;
    ``pcm_tail`` [B, 360]; ``mel_tail`` [B, 2, 80]; ``conv_tail`` [B, 1, width];
    ``waiting`` per layer [B, 4, width], inputs of the tick whose look-ahead has not arrived;
    ``keys``, ``values`` per layer [B, ring, heads, width / heads].
    """

    tick: Tensor
    offset: Tensor
    pcm_tail: Tensor
    mel_tail: Tensor
    conv_tail: Tensor
    waiting: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed positions [length, width]: sines in the first half, cosines in the second."""
    half = width // 2
    speed = torch.exp(torch.arange(half) * (-math.log(10_000.0) / (half - 1)))
    angle = torch.arange(length)[:, None] * speed
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class EarLayer(nn.Module):
    """A Whisper encoder layer with its attention split into projection and mixing."""

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of ``x`` [B, T, width], each [B, T, heads, head width]."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return q, k, v

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attend from ``q`` where ``mask`` (True = visible) allows, then the feed-forward part."""
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class EarEncoder(nn.Module):
    """Sound -> features at 50 Hz and character log-probabilities."""

    positions: Tensor

    def __init__(
        self, config: EarConfig | None = None, look_ahead_ticks: int | None = None
    ) -> None:
        """``look_ahead_ticks``: 0 to depth, the depth by default; ValueError otherwise."""
        super().__init__()
        self.config = config or EarConfig()
        self.look_ahead_ticks = self.config.depth if look_ahead_ticks is None else look_ahead_ticks
        if not 0 <= self.look_ahead_ticks <= self.config.depth:
            raise ValueError(f"a look-ahead of {look_ahead_ticks} ticks: 0 to {self.config.depth}")
        width = self.config.width
        self.conv1 = nn.Conv1d(MELS, width, 3)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2)
        self.register_buffer("positions", sinusoids(self.config.positions, width), persistent=False)
        self.layers = nn.ModuleList(EarLayer(self.config) for _ in range(self.config.depth))
        self.norm = nn.LayerNorm(width)
        self.characters = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, len(CHARACTERS))
        )

    def _stack(self) -> list[EarLayer]:
        return cast(list[EarLayer], list(self.layers))

    def _convolve(self, mel: Tensor, conv_tail: Tensor) -> tuple[Tensor, Tensor]:
        """Frames with two earlier ones [B, 2 + 8 n, 80] -> features [B, 4 n, width], new tail."""
        first = F.gelu(self.conv1(mel.transpose(1, 2)))
        first = torch.cat([conv_tail.transpose(1, 2), first], dim=2)
        return F.gelu(self.conv2(first)).transpose(1, 2), first[:, :, -1:].transpose(1, 2)

    def _place(self, x: Tensor, start: Tensor) -> Tensor:
        """Add the positions that follow ``start`` [B] (modulo their number)."""
        steps = torch.arange(x.shape[1], device=x.device)
        return x + self.positions[(start[:, None] + steps) % self.config.positions]

    def logits(self, features: Tensor) -> Tensor:
        """Character log-probabilities of ``features`` [..., width] -> [..., characters]."""
        logits: Tensor = self.characters(features)
        return logits.float().log_softmax(-1)

    def forward(
        self, pcm: Tensor, offset: Tensor | None = None, everything: bool = False
    ) -> Tensor:
        """Features of whole recordings: ``pcm`` [B, n * 1280] -> [B, 4 n, width].

        Silence is taken to follow, as ``flush`` does when streaming. ``offset`` int64 [B] is the
        position of the first feature, 0 by default. With ``everything`` all of the recording is
        visible from everywhere in it, as in Whisper itself.
        """
        batch, samples = pcm.shape
        ahead = self.look_ahead_ticks
        pcm = F.pad(pcm, (TAIL_SAMPLES, ahead * USER_TICK_SAMPLES))
        mel = F.pad(log_mel(pcm), (0, 0, 2, 0))
        x, _ = self._convolve(mel, mel.new_zeros(batch, 1, self.config.width))
        x = self._place(x, offset if offset is not None else x.new_zeros(batch, dtype=torch.long))
        ticks = torch.arange(x.shape[1], device=x.device) // FEATURES_PER_TICK
        distance = ticks[None, :] - ticks[:, None]
        near = distance >= -self.config.context_ticks
        masks = [everything | (near & (distance <= ahead)) for ahead in (0, 1)]
        for depth, layer in enumerate(self._stack()):
            q, k, v = layer.project(x)
            x = layer.mix(x, q, k, v, masks[depth < self.look_ahead_ticks])
        return self.norm(x[:, : samples // USER_TICK_SAMPLES * FEATURES_PER_TICK])

    def new_state(self, batch: int = 1) -> EncoderState:
        """A state that has heard nothing."""
        config = self.config
        zeros = self.positions.new_zeros
        ring = (batch, config.ring_ticks * FEATURES_PER_TICK, config.heads)
        heads = (*ring, config.width // config.heads)
        return EncoderState(
            tick=zeros(batch, dtype=torch.long),
            offset=zeros(batch, dtype=torch.long),
            pcm_tail=zeros(batch, TAIL_SAMPLES),
            mel_tail=zeros(batch, 2, MELS),
            conv_tail=zeros(batch, 1, config.width),
            waiting=[zeros(batch, FEATURES_PER_TICK, config.width) for _ in self.layers],
            keys=[zeros(heads) for _ in self.layers],
            values=[zeros(heads) for _ in self.layers],
        )

    def _seen(self, slot_tick: Tensor, tick: Tensor, ahead: bool) -> Tensor:
        """Which slots of the ring [B, slots] a layer may use when ``tick`` [B] was written last."""
        ring, newest = self.config.ring_ticks, tick.clamp_min(0)[:, None]
        age = (newest - slot_tick) % ring
        # Without look-ahead the ring's last slot is one tick older than the context.
        return (age <= newest) & (age <= self.config.context_ticks + ahead)

    def step(self, state: EncoderState, pcm: Tensor) -> Tensor:
        """Hear one more tick ``pcm`` [B, 1280]; features [B, 4, width] of the tick
        ``look_ahead_ticks`` ago.

        Changes ``state`` in place. What comes out earlier than that has no meaning.
        """
        sound = torch.cat([state.pcm_tail, pcm], dim=1)
        state.pcm_tail = sound[:, -TAIL_SAMPLES:]
        mel = torch.cat([state.mel_tail, log_mel(sound)], dim=1)
        state.mel_tail = mel[:, -2:]
        x, state.conv_tail = self._convolve(mel, state.conv_tail)
        x = self._place(x, state.offset + state.tick * FEATURES_PER_TICK)
        ring = self.config.ring_ticks
        rows = torch.arange(len(pcm), device=pcm.device)[:, None]
        inside = torch.arange(FEATURES_PER_TICK, device=pcm.device)
        slot_tick = torch.arange(ring, device=pcm.device).repeat_interleave(FEATURES_PER_TICK)
        for depth, layer in enumerate(self._stack()):
            ahead = depth < self.look_ahead_ticks
            sources = torch.cat([state.waiting[depth], x], dim=1) if ahead else x
            q, k, v = layer.project(sources)
            # The newest keys are as old as the look-ahead of the layers before makes them; before
            # tick 0 there is nothing to write.
            tick = state.tick - min(depth, self.look_ahead_ticks)
            slots = (tick % ring * FEATURES_PER_TICK)[:, None] + inside
            state.keys[depth][rows, slots] = k[:, -FEATURES_PER_TICK:]
            state.values[depth][rows, slots] = v[:, -FEATURES_PER_TICK:]
            seen = self._seen(slot_tick, tick, ahead)
            if ahead:
                x, state.waiting[depth] = state.waiting[depth], x
            x = layer.mix(
                x, q[:, :FEATURES_PER_TICK], state.keys[depth], state.values[depth],
                seen[:, None, None, :],
            )  # fmt: skip
        state.tick = state.tick + 1
        return self.norm(x)
