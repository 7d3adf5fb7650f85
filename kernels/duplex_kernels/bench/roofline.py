"""What this GPU really does: bytes per second of a large copy, operations of a large product."""

from dataclasses import dataclass

import torch

from duplex_kernels.bench.timing import launched


@dataclass(frozen=True)
class Roofline:
    """Measured rates; None where nothing was measured (on a CPU)."""

    bytes_per_second: float | None = None
    operations_per_second: float | None = None

    def floor(self, moved: int, operations: int) -> float | None:
        """Least microseconds for one call: the longer of moving and computing."""
        if self.bytes_per_second is None or self.operations_per_second is None:
            return None
        return 1e6 * max(moved / self.bytes_per_second, operations / self.operations_per_second)


def measure(device: torch.device) -> Roofline:
    """Copy of 2 GiB (read and written bytes counted) and bfloat16 product of 8192 cubed."""
    pair = torch.empty(2, 2**30, dtype=torch.bfloat16, device=device)
    copy = launched(lambda _: pair[0].copy_(pair[1]), 1).median
    moved = pair.numel() * pair.element_size()
    size = 8192
    left, right = torch.randn(2, size, size, dtype=torch.bfloat16, device=device)
    out = torch.empty_like(left)
    product = launched(lambda _: torch.mm(left, right, out=out), 1).median
    return Roofline(moved / copy * 1e6, 2 * size**3 / product * 1e6)
