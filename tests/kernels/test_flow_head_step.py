"""The flow head's step and its sampling loop, against the reference and the model's own head."""

import pytest
import torch
from duplex_kernels.errors import DeviceError, DtypeError, LayoutError, ShapeError
from duplex_kernels.flow_head_sampler import FlowHeadSampler
from duplex_kernels.flow_head_step import flow_head_step, modulations, reference
from duplex_kernels.flow_head_weights import FlowHeadWeights
from torch import Tensor

from duplex_agent.voice.config import FlowConfig
from duplex_agent.voice.reference.flow import FlowHead

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 3e-2}


def _head(latent: int, context: int, width: int, blocks: int) -> FlowHead:
    """The model's head with every layer random, those that start at zero too."""
    torch.manual_seed(width)
    head = FlowHead(latent, context, FlowConfig(width, blocks)).to(DEVICE).requires_grad_(False)
    for layer in head.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.5 * layer.in_features**-0.5)
            torch.nn.init.normal_(layer.bias, std=0.1)
    return head


def _weights(head: FlowHead, dtype: torch.dtype = torch.float32) -> FlowHeadWeights:
    return FlowHeadWeights.from_state({k: v.to(dtype) for k, v in head.state_dict().items()})


def _times(head: FlowHead, starts: Tensor, ends: Tensor) -> Tensor:
    return 0.5 * (head.start_time(starts) + head.end_time(ends))


def _inputs(head: FlowHead, slots: int, steps: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Condition, noise and embedded times."""
    rng = torch.Generator().manual_seed(slots)
    condition = torch.randn(slots, head.condition.in_features, generator=rng).to(DEVICE)
    noise = torch.randn(slots, head.enter.in_features, generator=rng).to(DEVICE)
    times = torch.arange(steps, device=DEVICE) / steps
    return condition, noise, _times(head, times, times)


def _check_step(
    latent: int,
    context: int,
    width: int,
    blocks: int,
    slots: int,
    dtype: torch.dtype,
    slack: float = 1.0,
) -> None:
    head = _head(latent, context, width, blocks)
    tolerance = slack * TOLERANCE[dtype]
    weights = _weights(head, dtype)
    condition, noise, time = _inputs(head, slots)
    table = modulations(weights, condition.to(dtype), time, backend="triton")
    wanted_table = modulations(weights, condition.to(dtype), time, backend="reference")
    torch.testing.assert_close(table, wanted_table, atol=tolerance, rtol=0)
    found = flow_head_step(weights, noise, table[0], 0.25, backend="triton")
    wanted = reference(weights, noise, table[0], 0.25)
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("latent", "context", "width", "blocks", "slots"),
    [(1, 1, 1, 1, 1), (5, 24, 40, 2, 3), (32, 7, 132, 1, 17), (16, 16, 64, 1, 0)],
)
def test_a_step_of_odd_sizes_agrees_with_the_reference(
    latent: int, context: int, width: int, blocks: int, slots: int, dtype: torch.dtype
) -> None:
    _check_step(latent, context, width, blocks, slots, dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("slots", [1, 64, 256])
def test_a_step_of_full_size_on_hardware(slots: int, dtype: torch.dtype) -> None:
    # The largest of millions of roundings, after twelve products in a row.
    _check_step(32, 576, 512, 6, slots, dtype, slack=3)


def test_the_norm_survives_a_large_mean() -> None:
    head = _head(4, 4, 160, 1)
    head.enter.bias += 300.0
    condition, noise, time = _inputs(head, 2)
    weights = _weights(head)
    table = modulations(weights, condition, time, backend="reference")
    found = flow_head_step(weights, noise, table[0], 1.0, backend="triton")
    wide = FlowHead(4, 4, FlowConfig(160, 1)).to(DEVICE)
    wide.load_state_dict(head.state_dict())
    zero = torch.zeros(2, dtype=torch.float64, device=DEVICE)
    exact = noise.double() + wide.double()(noise.double(), condition.double(), zero, zero)
    # One rounding of 300 is 1.5e-5; a variance by difference of squares would be off by 1e-2.
    torch.testing.assert_close(found.double(), exact.detach(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("backend", ["triton", "reference"])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_sampler_equals_the_models_own_sampling(backend: str, steps: int) -> None:
    head = _head(6, 20, 36, 2)
    condition, noise, time = _inputs(head, 3, steps)
    sampler = FlowHeadSampler(_weights(head), time, [1 / steps] * steps, 3, backend=backend)
    found = sampler.sample(condition, noise)
    wanted = head.sample(condition, noise, steps)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_one_step_of_a_flow_map_is_the_same_loop_with_another_time() -> None:
    head = _head(6, 20, 36, 2)
    condition, noise, _ = _inputs(head, 3)
    zero, one = torch.zeros(3, device=DEVICE), torch.ones(3, device=DEVICE)
    time = _times(head, zero[:1], one[:1])
    sampler = FlowHeadSampler(_weights(head), time, [1.0], 3, backend="triton")
    wanted = noise + head(noise, condition, zero, one)
    torch.testing.assert_close(sampler.sample(condition, noise), wanted, atol=1e-5, rtol=0)


def test_a_slot_alone_equals_the_slot_in_a_batch() -> None:
    head = _head(5, 24, 40, 2)
    weights = _weights(head)
    condition, noise, time = _inputs(head, 18)
    table = modulations(weights, condition, time, backend="triton")[0]
    together = flow_head_step(weights, noise, table, 1.0, backend="triton")
    for slot in (0, 17):
        one = slice(slot, slot + 1)
        alone = flow_head_step(weights, noise[one], table[one], 1.0, backend="triton")
        assert torch.equal(alone[0], together[slot])


def test_an_idle_slot_full_of_nan_does_not_touch_the_others() -> None:
    head = _head(5, 24, 40, 1)
    condition, noise, time = _inputs(head, 4, 2)
    sampler = FlowHeadSampler(_weights(head), time, [0.5, 0.5], 4, backend="triton")
    clean = sampler.sample(condition, noise).clone()
    noise[2] = condition[2] = torch.nan
    spoilt = sampler.sample(condition, noise)
    assert spoilt[2].isnan().all()
    assert torch.equal(spoilt[[0, 1, 3]], clean[[0, 1, 3]])


@pytest.mark.gpu
@pytest.mark.parametrize("steps", [1, 8])
def test_the_captured_loop_equals_the_launched_one_at_every_replay(steps: int) -> None:
    head = _head(32, 576, 512, 6)
    weights = _weights(head, torch.bfloat16)
    condition, noise, time = _inputs(head, 64, steps)
    sizes = [1 / steps] * steps
    captured = FlowHeadSampler(weights, time, sizes, 64)
    launched = FlowHeadSampler(weights, time, sizes, 64, graph=False)
    for _ in range(3):
        noise = noise.roll(1, dims=0)
        found = captured.sample(condition, noise)
        assert torch.equal(found, launched.sample(condition, noise))
    torch.testing.assert_close(found, head.sample(condition, noise, steps), atol=0.1, rtol=0)


def test_wrong_arguments_are_refused_before_launch() -> None:
    head = _head(5, 24, 40, 1)
    weights = _weights(head)
    condition, noise, time = _inputs(head, 2)
    table = modulations(weights, condition, time)[0]
    with pytest.raises(ShapeError, match="modulation"):
        flow_head_step(weights, noise, table[:, :-1], 1.0)
    with pytest.raises(ShapeError, match="token"):
        flow_head_step(weights, noise[:, :4], table, 1.0)
    with pytest.raises(DtypeError, match="token"):
        flow_head_step(weights, noise.half(), table, 1.0)
    with pytest.raises(LayoutError, match="token"):
        flow_head_step(weights, noise.T.contiguous().T, table, 1.0)
    with pytest.raises(DeviceError, match="modulation"):
        flow_head_step(weights, noise, table.to("meta"), 1.0)
    with pytest.raises(ShapeError, match="time"):
        FlowHeadSampler(weights, time, [0.5, 0.5], 2)
    if DEVICE == "cpu":
        with pytest.raises(DeviceError, match="graphs"):
            FlowHeadSampler(weights, time, [1.0], 2, graph=True)


def test_weights_that_do_not_fit_each_other_are_refused() -> None:
    state = _head(5, 24, 40, 1).state_dict()
    with pytest.raises(ShapeError, match="out"):
        FlowHeadWeights.from_state({**state, "out.weight": state["blocks.0.up.weight"]})
    with pytest.raises(DtypeError, match="enter_bias"):
        FlowHeadWeights.from_state({**state, "enter.bias": state["enter.bias"].half()})
