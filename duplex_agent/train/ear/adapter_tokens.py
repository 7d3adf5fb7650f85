"""The tokens that an adapter gives a thinker in training."""

from typing import Final

import torch
from torch import Tensor

from duplex_agent.ear.adapter.config import Rate
from duplex_agent.ear.reference.adapter import Adapter, Tokens
from duplex_agent.train.ear.adapter_features import HeardRow

_TICK_DROPOUT: Final = 0.1
_SKIP_ABOVE: Final = 0.9
"""Probability of blank from which on a token may be left out: higher than in a conversation, so
that the thinker sees more kinds of turns.
"""


def row_tokens(
    adapter: Adapter, row: HeardRow, rate: Rate, skipping: bool, rng: torch.Generator
) -> Tensor:
    """Tokens [n >= 1, thinker's width] of the speech in ``row``, some of them lost by chance."""
    features, log_probs = (
        torch.from_numpy(x[row.span]).float().to(rng.device)[None]
        for x in (row.features, row.log_probs)
    )
    tokens = adapter.token(adapter.at_rate(adapter.hidden(features, log_probs), rate)[0])
    kept = torch.rand(len(tokens.vectors), generator=rng, device=rng.device) >= _TICK_DROPOUT
    if skipping:
        kept &= tokens.blank.detach() < _SKIP_ABOVE
    return tokens.vectors[kept] if kept.any() else strongest(tokens)


def strongest(tokens: Tokens) -> Tensor:
    """The one token [1, width] that is least likely a blank."""
    return tokens.vectors[tokens.blank.argmin()][None]
