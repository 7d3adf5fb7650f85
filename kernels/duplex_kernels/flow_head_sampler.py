"""The whole sampling loop of the flow head over fixed buffers, on a GPU as one CUDA graph."""

from collections.abc import Sequence

import torch
from torch import Tensor

from duplex_kernels import checks
from duplex_kernels.backend import refuse_bfloat16_in_interpreter, resolve, same_device
from duplex_kernels.errors import DeviceError, ShapeError
from duplex_kernels.flow_head_step import reference, reference_modulations
from duplex_kernels.flow_head_weights import FlowHeadWeights


class FlowHeadSampler:
    """Noise -> token for a fixed number of slots and a fixed grid of times.

    ``time`` [N, W] holds the embedding of every step's time (or pair of times) and ``step_sizes``
    the N lengths of the steps: N Euler steps of 1/N, or a single one of 1 for a flow map. The
    buffers ``condition`` [S, C], in the weights' type, and ``noise`` [S, L], float32, are read and
    ``token`` [S, L], float32, is written by every run and never moves, so `run` may also be
    captured inside a larger graph. Slots without a conversation compute something nobody reads.

    ``graph`` (by default: on a GPU) captures the loop once, at construction. Raises ShapeError,
    DtypeError, LayoutError, DeviceError or BackendUnavailable.
    """

    def __init__(
        self,
        weights: FlowHeadWeights,
        time: Tensor,
        step_sizes: Sequence[float],
        slots: int,
        *,
        backend: str | None = None,
        graph: bool | None = None,
    ) -> None:
        device = same_device(weights=weights.enter, time=time)
        self.backend = resolve(backend, device, ("triton", "reference"))
        checks.floats(time=time)
        checks.shape((len(step_sizes), weights.width), time=time)
        checks.contiguous(time=time)
        if slots < 1 or not step_sizes:
            raise ShapeError(f"{slots} slots and {len(step_sizes)} steps; one is the least")
        if graph and device.type != "cuda":
            raise DeviceError(f"CUDA graphs need an NVIDIA GPU, not {device}")
        self._weights = weights
        self._time = time
        self._step_sizes = tuple(step_sizes)
        steps, wide = len(step_sizes), torch.float32

        def buffer(*shape: int, dtype: torch.dtype = weights.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self.condition = buffer(slots, weights.condition.shape[1])
        self.noise = buffer(slots, weights.latent, dtype=wide)
        self.token = buffer(slots, weights.latent, dtype=wide)
        self._graph: torch.cuda.CUDAGraph | None = None
        if self.backend == "triton":
            refuse_bfloat16_in_interpreter(weights.enter)
            self._mixed = buffer(steps * slots, weights.width)
            self._table = buffer(steps * slots, weights.modulations)
            self._stream = buffer(slots, weights.width, dtype=wide)
            self._hidden = buffer(slots, weights.width)
        if graph or (graph is None and device.type == "cuda"):
            with torch.cuda.device_of(self.token):
                self._graph = self._capture()

    def sample(self, condition: Tensor, noise: Tensor) -> Tensor:
        """Copies the inputs into the buffers, runs, and returns ``token`` [S, L].

        The result is the buffer itself: it holds until the next run. Raises ShapeError.
        """
        checks.shape(tuple(self.condition.shape), condition=condition)
        checks.shape(tuple(self.noise.shape), noise=noise)
        self.condition.copy_(condition, non_blocking=True)
        self.noise.copy_(noise, non_blocking=True)
        with torch.cuda.device_of(self.token):
            if self._graph is None:
                self.run()
            else:
                self._graph.replay()
        return self.token

    def run(self) -> None:
        """All launches of one sampling, from ``condition`` and ``noise`` to ``token``."""
        if self.backend == "reference":
            self._run_reference()
            return
        from duplex_kernels.flow_head_step_triton import launch_modulations, launch_step

        weights = self._weights
        launch_modulations(weights, self.condition, self._time, self._mixed, self._table)
        token = self.noise
        for modulation, size in zip(
            self._table.chunk(len(self._step_sizes)), self._step_sizes, strict=True
        ):
            launch_step(weights, token, modulation, size, self._stream, self._hidden, self.token)
            token = self.token

    def _run_reference(self) -> None:
        table = reference_modulations(self._weights, self.condition, self._time)
        token = self.noise
        for modulation, size in zip(table, self._step_sizes, strict=True):
            token = reference(self._weights, token, modulation, size)
        self.token.copy_(token)

    def _capture(self) -> torch.cuda.CUDAGraph:
        # The first run compiles kernels and makes cuBLAS reserve its workspace, neither of which
        # may happen during capture; PyTorch asks for it on a stream other than the default one.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.run()
        return graph
