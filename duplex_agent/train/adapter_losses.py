"""What an adapter is judged by: CTC over its ids, and the tokens a thinker is told in training."""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from duplex_agent.model.adapter import BLANK, Adapter, Rate, Tokens
from duplex_agent.train.adapter_data import HeardRow

_TICK_DROPOUT: Final = 0.1
_SKIP_ABOVE: Final = 0.9
"""Share of blank from which on a token may be left out: higher than in a conversation, so that
the thinker is told more kinds of turns.
"""


def told(
    adapter: Adapter, row: HeardRow, rate: Rate, skipping: bool, rng: torch.Generator
) -> Tensor:
    """Tokens [n >= 1, thinker's width] of the speech in ``row``, some of them lost by chance."""
    features, letters = (
        torch.from_numpy(x[row.span]).float().to(rng.device)[None]
        for x in (row.features, row.letters)
    )
    tokens = adapter.token(adapter.at_rate(adapter.hidden(features, letters), rate)[0])
    kept = torch.rand(len(tokens.vectors), generator=rng, device=rng.device) >= _TICK_DROPOUT
    if skipping:
        kept &= tokens.blank.detach() < _SKIP_ABOVE
    return tokens.vectors[kept] if kept.any() else strongest(tokens)


def strongest(tokens: Tokens) -> Tensor:
    """The one token [1, width] that is least likely a blank."""
    return tokens.vectors[tokens.blank.argmin()][None]


def token_ctc(log_shares: Tensor, targets: list[list[int]]) -> Tensor:
    """CTC loss per token of ``log_shares`` [B, T, 1 + ids]; rows that cannot fit count nothing."""
    lengths = torch.tensor([len(t) for t in targets])
    flat = torch.tensor([i for t in targets for i in t], dtype=torch.long)
    frames = torch.full((len(targets),), log_shares.shape[1], dtype=torch.long)
    losses = F.ctc_loss(
        log_shares.transpose(0, 1), flat, frames, lengths, BLANK, "sum", zero_infinity=True
    )
    return losses / max(1, int(lengths.sum()))
