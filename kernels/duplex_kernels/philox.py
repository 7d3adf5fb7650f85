"""Philox 4x32-10 in plain PyTorch (Salmon et al., «Parallel random numbers: as easy as 1, 2, 3»,
SC 2011), bit for bit the generator behind ``tl.rand``; for references and tests."""

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)


def _product(factor: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """High and low half of a product of 32-bit words, without leaving the range of int64."""
    low = (word & 0xFFFF) * factor
    high = (word >> 16) * factor + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def words(seeds: Tensor, offsets: Tensor) -> Tensor:
    """First output word for 64-bit keys and counters, int64 of the same shape -> [0, 2**32)."""
    key = [seeds & _WORD, (seeds >> 32) & _WORD]
    zero = torch.zeros_like(offsets)
    counter = [offsets & _WORD, (offsets >> 32) & _WORD, zero, zero]
    for _ in range(10):
        high_a, low_a = _product(_MULTIPLIERS[0], counter[0])
        high_b, low_b = _product(_MULTIPLIERS[1], counter[2])
        counter = [high_b ^ counter[1] ^ key[0], low_b, high_a ^ counter[3] ^ key[1], low_a]
        key = [(part + weyl) & _WORD for part, weyl in zip(key, _WEYL, strict=True)]
    return counter[0]


def uniform(seeds: Tensor, offsets: Tensor) -> Tensor:
    """Float32 in [0, 1), by the mapping of ``tl.rand``: 31 bits, the sign folded away."""
    found = words(seeds, offsets)
    folded = torch.where(found >= 2**31, _WORD - found, found)
    return folded.float() * torch.tensor(4.6566127342e-10, dtype=torch.float32)
