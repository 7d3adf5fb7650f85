"""How a kernel module declares the variants of its kernels that must compile well.

A kernel module exports ``configurations() -> list[Configuration]``; `compile` builds each of them
for a GPU that need not be there and holds it to the bounds stated here::

    def configurations() -> list[Configuration]:
        return [
            Configuration(
                name="scale bf16",
                kernel=_scale_kernel,
                types={"x": "*bf16", "out": "*bf16", "stride": "i32", "count": "i32"},
                constants={"BLOCK": 1024},
                aligned=("x", "out", "stride"),
                max_registers=64,
            )
        ]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

SHARED_MEMORY_LIMIT = 227 * 1024
"""Bytes of shared memory one program may have on sm_90; the compiler does not check it."""


@dataclass(frozen=True)
class Configuration:
    """One specialisation of one ``@triton.jit`` kernel and the resources it may take.

    ``types`` maps every run-time argument to a Triton type (``*bf16``, ``*i32``, ``i32``,
    ``fp32``) and ``constants`` every ``tl.constexpr`` argument to its value; together they name
    all arguments, in any order. ``aligned`` lists pointers aligned to 16 bytes and integers
    divisible by 16, as the launcher finds them at run time: without them loads are not vectorised
    and another program is compiled than the one that will run.
    """

    name: str
    kernel: Any
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    aligned: tuple[str, ...] = ()
    warps: int = 4
    stages: int = 3
    max_registers: int = 255
    max_shared: int = SHARED_MEMORY_LIMIT
    min_load_bytes: int = 16
    """The widest global load must be at least this wide; 16 is what the memory system wants."""
    needs_mma: bool = False
    """Whether ``mma`` or ``wgmma`` must appear, that is, whether the kernel has a ``tl.dot``."""
    capabilities: range = range(80, 1000)
    """Compute capabilities on which the launcher chooses this variant; left out for others."""

    @cached_property
    def signature(self) -> dict[str, str]:
        """All arguments in the kernel's order. Raises ``ValueError`` if names do not match."""
        arguments = list(self.kernel.arg_names)
        declared = {*self.types, *self.constants}
        if declared != set(arguments) or not set(self.aligned) <= set(self.types):
            wrong = declared.symmetric_difference(arguments) or set(self.aligned) - set(self.types)
            raise ValueError(f"{self.name}: arguments not declared or not known: {sorted(wrong)}")
        return {name: self.types.get(name, "constexpr") for name in arguments}

    @property
    def attributes(self) -> dict[tuple[int, ...], list[list[object]]]:
        """Divisibility in the form that ``triton.compiler.ASTSource`` takes."""
        order = list(self.signature)
        return {(order.index(name),): [["tt.divisibility", 16]] for name in self.aligned}
