"""The discrete baseline: the same mouth, with codes in place of continuous tokens.

Each dimension of a token is rounded to one of 31 levels (finite scalar quantisation, arXiv
2309.15505, bounded by a clamp: these latents are normalised already). The head is the flow head's
network: it sees the dimensions that are known already and tells the probabilities of all others.
"""

import torch
from torch import Tensor

from duplex_agent.voice.config import LATENT_WIDTH, MouthConfig
from duplex_agent.voice.reference.flow import FlowHead
from duplex_agent.voice.reference.mouth import Mouth

LEVELS = 31
# In standard deviations: one value in two thousand of normal ones lies beyond, and rounding adds
# an error of 0.07, about what the encoder's posterior leaves open.
_SPAN = 3.5
_STEP = 2 * _SPAN / (LEVELS - 1)


def to_codes(tokens: Tensor) -> Tensor:
    """Codes 0 .. 30, int64 [..., 48], of normalised ``tokens`` [..., 48]."""
    return ((tokens.clamp(-_SPAN, _SPAN) + _SPAN) / _STEP).round().long()


def from_codes(codes: Tensor) -> Tensor:
    """Normalised tokens [..., 48] of ``codes`` [..., 48]."""
    return codes * _STEP - _SPAN


class CodeMouth(Mouth):
    """A mouth whose history and whose output are codes; it steps as ``Mouth`` does."""

    def __init__(self, config: MouthConfig | None = None) -> None:
        super().__init__(config)
        width = self.config.width + LATENT_WIDTH
        self.head = FlowHead(LATENT_WIDTH, width, self.config.flow, LATENT_WIDTH * LEVELS)

    def logits(self, tokens: Tensor, condition: Tensor, known: Tensor) -> Tensor:
        """Of every level [..., 48, 31], the first ``known`` [...] dimensions being given.

        ``tokens`` [..., 48] normalised, ``condition`` [..., width]; what is not known is not read.
        """
        given = torch.arange(LATENT_WIDTH, device=tokens.device) < known[..., None]
        time = known.to(tokens.dtype) / LATENT_WIDTH
        made = self.head(tokens * given, condition, time, time)
        return made.unflatten(-1, (LATENT_WIDTH, LEVELS))

    def sample(self, condition: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Codes in ``steps`` rounds, each drawn under the ones before, as a token [B, 48].

        ``noise`` [B, 48] is normal and picks a quantile of each code's distribution, so noise of
        less variance stays nearer to the median: the temperature of an ordinal choice.
        """
        steps = min(steps, LATENT_WIDTH)
        quantile = torch.special.ndtr(noise)
        token = torch.zeros_like(noise)
        for step in range(steps):
            first, end = (LATENT_WIDTH * k // steps for k in (step, step + 1))
            known = torch.full(noise.shape[:-1], first, device=noise.device)
            logits = self.logits(token, condition, known)[..., first:end, :]
            below = logits.float().softmax(dim=-1).cumsum(dim=-1) < quantile[..., first:end, None]
            # The sum's last place may stay below 1 by rounding.
            codes = below.sum(dim=-1).clamp_max(LEVELS - 1)
            token[..., first:end] = from_codes(codes)
        return token
