"""Which implementation runs: chosen once per process, with an explicit override per call.

Order: the `backend` argument of a call, then DUPLEX_KERNELS_BACKEND, then what suits the device.
The variable names a preference for the whole package, so an operation that has no such backend
(there is no `flash_attn` for RMSNorm) takes what suits the device; an argument is a demand, and
fails if it cannot be met.
"""

import os
from collections.abc import Callable, Collection
from functools import cache
from importlib.util import find_spec
from typing import Literal, get_args

import torch

from duplex_kernels.errors import BackendUnavailable, DeviceError, DtypeError

Backend = Literal["triton", "flash_attn", "sdpa", "reference"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
VARIABLE = "DUPLEX_KERNELS_BACKEND"


@cache
def interpreted() -> bool:
    """Whether Triton kernels run in its CPU interpreter (TRITON_INTERPRET=1).

    Triton decides when a kernel's module is imported, so the answer is kept for the process.
    """
    return os.environ.get("TRITON_INTERPRET", "0").lower() in {"1", "true", "yes", "on", "y"}


@cache
def preferred() -> Backend | None:
    """What DUPLEX_KERNELS_BACKEND asks for, read once; None if unset.

    Raises BackendUnavailable for a name that does not exist.
    """
    name = os.environ.get(VARIABLE)
    return _known(name, f"{VARIABLE}={name}") if name else None


def resolve(requested: str | None, device: torch.device, supported: Collection[Backend]) -> Backend:
    """The backend for one operation on tensors of `device`.

    Raises BackendUnavailable if `requested` (or, where the operation has it, the preferred one) is
    unknown, unsupported by the operation, not installed, or cannot run on the device.
    """
    if requested is not None:
        backend = _known(requested, f"backend {requested!r}")
        if backend not in supported:
            raise BackendUnavailable(
                f"this operation has no backend {backend!r}; choose one of {', '.join(supported)}"
            )
    else:
        wish = preferred()
        backend = wish if wish and wish in supported else _suitable(device, supported)
    _CHECKS.get(backend, lambda _: None)(device)
    return backend


def refuse_bfloat16_in_interpreter(*tensors: torch.Tensor | None) -> None:
    """DtypeError for bfloat16 under the interpreter, which silently computes on bit patterns."""
    if interpreted() and any(t is not None and t.dtype == torch.bfloat16 for t in tensors):
        raise DtypeError(
            "Triton's interpreter computes wrong results in bfloat16; use float16 or float32 there"
        )


def same_device(**tensors: torch.Tensor | None) -> torch.device:
    """The one device of all given tensors; DeviceError names those that differ from the first."""
    devices = {name: t.device for name, t in tensors.items() if t is not None}
    first = next(iter(devices.values()))
    strays = [f"{name} on {device}" for name, device in devices.items() if device != first]
    if strays:
        raise DeviceError(f"all tensors must be on {first}; found {', '.join(strays)}")
    return first


def _known(name: str, said: str) -> Backend:
    if name not in BACKENDS:
        raise BackendUnavailable(f"{said}: no such backend; choose one of {', '.join(BACKENDS)}")
    return name


def _suitable(device: torch.device, supported: Collection[Backend]) -> Backend:
    if device.type == "cuda" and "triton" in supported and find_spec("triton") is not None:
        return "triton"
    return "sdpa" if "sdpa" in supported else "reference"


def _check_triton(device: torch.device) -> None:
    if find_spec("triton") is None:
        raise BackendUnavailable("backend 'triton' needs the package triton: pip install triton")
    if device.type != "cuda" and not interpreted():
        raise BackendUnavailable(
            f"backend 'triton' needs tensors on an NVIDIA GPU, not on {device}; "
            "set TRITON_INTERPRET=1 before the start to run its kernels in the interpreter"
        )


def _check_flash_attn(device: torch.device) -> None:
    if find_spec("flash_attn") is None:
        raise BackendUnavailable(
            "backend 'flash_attn' needs the package flash-attn, which is not installed: "
            "pip install flash-attn, or choose triton or sdpa"
        )
    if device.type != "cuda":
        raise BackendUnavailable(f"backend 'flash_attn' needs an NVIDIA GPU, not {device}")


_CHECKS: dict[Backend, Callable[[torch.device], None]] = {
    "triton": _check_triton,
    "flash_attn": _check_flash_attn,
}
