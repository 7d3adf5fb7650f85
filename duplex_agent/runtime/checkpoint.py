"""Weight files: safetensors with optional int8 matrices, checked when they are opened.

A matrix saved as int8 becomes ``NAME`` (int8, [out, ...]) and ``NAME.scale`` (fp16, [out]): one
symmetric scale per output row. ``load`` gives float32 back, so modules never see the packing.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from duplex_agent.errors import CheckpointError

_SCALE = ".scale"
WEIGHTS_DIR = Path(__file__).resolve().parents[1] / "weights"


def _pack_int8(tensor: Tensor) -> tuple[Tensor, Tensor]:
    rows = tensor.float().reshape(tensor.shape[0], -1)
    scale = (rows.abs().amax(dim=1) / 127).clamp_min(1e-8).half().float()
    packed = (rows / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    return packed.reshape(tensor.shape), scale.half()


def save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], int8: bool) -> None:
    """Write ``tensors`` as float16, or matrices as int8 where ``int8``; raises CheckpointError.

    The file appears whole or not at all.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} holds NaN or infinity; {path.name} was not written")
        if int8 and tensor.dim() >= 2 and tensor.numel() >= 4096:
            stored[name], stored[name + _SCALE] = _pack_int8(tensor)
        else:
            stored[name] = tensor.half() if tensor.is_floating_point() else tensor
    partial = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(stored, partial, metadata)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from error


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a weight file into float32 tensors and its metadata; raises CheckpointError."""
    if not path.exists():
        raise CheckpointError(f"weight file {path} is missing; reinstall, or train it again")
    try:
        with safe_open(path, framework="pt") as file:
            raw = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"weight file {path} is corrupt ({error}); fetch it again") from error
    tensors: dict[str, Tensor] = {}
    for name, tensor in raw.items():
        if name.endswith(_SCALE):
            continue
        if tensor.dtype == torch.int8:
            scale = raw[name + _SCALE].float()
            tensor = tensor.float() * scale.reshape(-1, *[1] * (tensor.dim() - 1))
        elif tensor.is_floating_point():
            tensor = tensor.float()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"weight file {path} holds NaN in {name}; fetch it again")
        tensors[name] = tensor
    return tensors, metadata


def load_module(module: torch.nn.Module, tensors: dict[str, Tensor], prefix: str = "") -> None:
    """Fill ``module`` from the tensors under ``prefix``; raises CheckpointError on a mismatch."""
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"weights do not fit {type(module).__name__}: {reason}") from error
