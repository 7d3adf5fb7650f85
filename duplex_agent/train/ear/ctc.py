"""Connectionist temporal classification, the loss of every head that spells (Graves, 2006)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_BLANK = 0


def ctc(log_probs: Tensor, targets: list[list[int]]) -> Tensor:
    """CTC loss per symbol of ``log_probs`` [B, T, 1 + symbols], the first of which is the blank.

    Rows whose target cannot fit count nothing.
    """
    lengths = torch.tensor([len(t) for t in targets])
    flat = torch.tensor([i for t in targets for i in t], dtype=torch.long)
    frames = torch.full((len(targets),), log_probs.shape[1], dtype=torch.long)
    losses = F.ctc_loss(
        log_probs.transpose(0, 1), flat, frames, lengths, _BLANK, "sum", zero_infinity=True
    )
    return losses / max(1, int(lengths.sum()))
