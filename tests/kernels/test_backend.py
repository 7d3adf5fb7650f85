"""The choice of backend."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
import torch
from duplex_kernels import backend
from duplex_kernels.backend import BACKENDS, VARIABLE, resolve
from duplex_kernels.errors import BackendUnavailable, DeviceError

CPU = torch.device("cpu")
GPU = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    backend.preferred.cache_clear()
    yield
    backend.preferred.cache_clear()


def test_the_device_decides_when_nobody_asks() -> None:
    assert resolve(None, GPU, BACKENDS) == "triton"
    assert resolve(None, CPU, BACKENDS) == "sdpa"
    assert resolve(None, CPU, ("triton", "reference")) == "reference"


def test_the_variable_is_a_preference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sdpa")
    assert resolve(None, GPU, BACKENDS) == "sdpa"
    assert resolve(None, GPU, ("triton", "reference")) == "triton"


def test_an_argument_is_a_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sdpa")
    assert resolve("reference", CPU, BACKENDS) == "reference"
    with pytest.raises(BackendUnavailable, match="no backend 'sdpa'"):
        resolve("sdpa", CPU, ("triton", "reference"))


def test_the_choice_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "reference")
    assert resolve(None, CPU, BACKENDS) == "reference"
    monkeypatch.setenv(VARIABLE, "sdpa")
    assert resolve(None, CPU, BACKENDS) == "reference"


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendUnavailable, match="choose one of triton"):
        resolve("cutlass", CPU, BACKENDS)
    monkeypatch.setenv(VARIABLE, "cutlass")
    with pytest.raises(BackendUnavailable, match=f"{VARIABLE}=cutlass"):
        resolve(None, CPU, BACKENDS)


def test_the_kernels_need_a_gpu_or_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "interpreted", lambda: True)
    assert resolve("triton", CPU, BACKENDS) == "triton"
    monkeypatch.setattr(backend, "interpreted", lambda: False)
    with pytest.raises(BackendUnavailable, match="TRITON_INTERPRET=1"):
        resolve("triton", CPU, BACKENDS)


@pytest.mark.skipif(find_spec("flash_attn") is not None, reason="flash-attn is installed")
def test_missing_flash_attn_is_named_with_a_way_out() -> None:
    with pytest.raises(BackendUnavailable, match="pip install flash-attn, or choose triton"):
        resolve("flash_attn", GPU, BACKENDS)


def test_a_tensor_elsewhere_is_named() -> None:
    here, elsewhere = torch.zeros(1), torch.zeros(1, device="meta")
    assert backend.same_device(a=here, b=None) == CPU
    with pytest.raises(DeviceError, match="b on meta"):
        backend.same_device(a=here, b=elsewhere)
