"""Compile every declared configuration for a GPU that need not be there, and judge the result.

``python -m duplex_kernels.compile --target sm_90`` prints one line for each configuration and ends
with ``ok N configurations`` or with what failed. It shows that a kernel is accepted, fits the
machine, spills nothing, loads wide and uses the matrix units; not that it is right (the
interpreter tests do) and not that it is fast (`bench` does, on hardware).

Each configuration is built in a process of its own, because the compiler ends the process on an
internal error, and never beside the interpreter, which replaces the language for a whole process.
"""

import argparse
import importlib
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from duplex_kernels.configuration import Configuration

KERNEL_MODULES = (
    "rope_append",
    "paged.attention",
    "flow_head_step",
    "rms_norm",
    "silu_mul",
    "sampling",
)
"""Modules with a ``configurations`` function; a new kernel is added here."""

SHARED_LIMIT = {80: 163, 86: 99, 87: 163, 89: 99, 90: 227, 100: 227, 103: 227, 120: 99}
"""KiB of shared memory for one program, by compute capability (CUDA C++ Programming Guide,
table «Technical Specifications per Compute Capability»). The compiler does not check it."""

_LOAD = re.compile(r"\bld\.global[\w.:]*?(?:\.v(?P<lanes>[248]))?\.[bufs](?P<bits>\d+)\s")
_ASYNC_COPY = re.compile(r"\bcp\.async\.c[ag]\.shared\.global[^;]*?\], (?P<bytes>0x[0-9a-f]+|\d+)")
_MATRIX = ("wgmma.mma_async", "tcgen05.mma", "mma.sync")


@dataclass(frozen=True)
class Resources:
    """What one program of a compiled kernel takes, and what its code looks like."""

    registers: int
    """Per thread."""
    shared: int
    """Bytes per program."""
    local: int
    """Bytes of local memory and stack per thread: spilled registers and indexed arrays."""
    load: int
    """Bytes of the widest load from global memory, asynchronous copies included."""
    matrix: str
    """The matrix instruction, or ``-``."""
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """A configuration, what it compiled to (if it did) and what is wrong with it."""

    configuration: Configuration
    resources: Resources | None
    faults: tuple[str, ...]


def declared(capability: int) -> list[Configuration]:
    """What is launched on a compute capability. Raises ``ValueError`` on a repeated name."""
    found = [
        configuration
        for name in KERNEL_MODULES
        for configuration in importlib.import_module(f"duplex_kernels.{name}").configurations()
        if capability in configuration.capabilities
    ]
    names = [configuration.name for configuration in found]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"configurations declared twice: {sorted(repeated)}")
    return found


def widest_load(ptx: str) -> int:
    """Bytes of the widest load from global memory in PTX text; 0 if there is none."""
    loads = [int(m["lanes"] or 1) * int(m["bits"]) // 8 for m in _LOAD.finditer(ptx)]
    copies = [int(m["bytes"], 0) for m in _ASYNC_COPY.finditer(ptx)]
    return max([0, *loads, *copies])


def matrix_instruction(ptx: str) -> str:
    """Name of the widest kind of matrix instruction in PTX text, or ``-``."""
    return next((name for name in _MATRIX if name in ptx), "-")


def resource_usage(listing: str) -> dict[str, int]:
    """REG, STACK and LOCAL from the text of ``cuobjdump --dump-resource-usage``."""
    found = dict(re.findall(r"\b(REG|STACK|LOCAL):(\d+)", listing))
    if set(found) != {"REG", "STACK", "LOCAL"}:
        raise ValueError(f"no resource usage in: {listing!r}")
    return {name: int(value) for name, value in found.items()}


def build(configuration: Configuration, capability: int) -> Resources:
    """Compile for a compute capability such as 90. Errors of the compiler pass through."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    began = time.perf_counter()
    source = ASTSource(
        configuration.kernel,
        configuration.signature,
        dict(configuration.constants),
        configuration.attributes,
    )
    options = {"num_warps": configuration.warps, "num_stages": configuration.stages}
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    seconds = time.perf_counter() - began
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        cubin.write(compiled.asm["cubin"])
        cubin.flush()
        listing = subprocess.run(
            [tool, "--dump-resource-usage", cubin.name], capture_output=True, text=True, check=True
        ).stdout
    usage = resource_usage(listing)
    ptx = compiled.asm["ptx"]
    return Resources(
        registers=usage["REG"],
        # Dynamic, so known to the launcher alone; the binary lists what the system reserves.
        shared=compiled.metadata.shared,
        local=usage["STACK"] + usage["LOCAL"],
        load=widest_load(ptx),
        matrix=matrix_instruction(ptx),
        seconds=seconds,
    )


def judge(configuration: Configuration, found: Resources, capability: int) -> tuple[str, ...]:
    """Every bound that is broken, in words."""
    most_shared = min(configuration.max_shared, 1024 * SHARED_LIMIT[capability])
    checks = [
        (found.local == 0, f"{found.local} bytes of local memory"),
        (
            found.registers <= configuration.max_registers,
            f"{found.registers} registers, bound {configuration.max_registers}",
        ),
        (found.shared <= most_shared, f"{found.shared} bytes shared, bound {most_shared}"),
        (
            found.load >= configuration.min_load_bytes,
            f"widest load {found.load} bytes, bound {configuration.min_load_bytes}",
        ),
        (not configuration.needs_mma or found.matrix != "-", "no matrix instruction"),
    ]
    return tuple(text for holds, text in checks if not holds)


def _child(configuration: Configuration, capability: int, answer: Connection) -> None:
    try:
        answer.send(build(configuration, capability))
    except Exception as error:
        reason = (str(error).strip() or "no message").splitlines()[-1]
        answer.send(f"{type(error).__name__}: {reason}")


def compile_all(
    configurations: Sequence[Configuration], capability: int, jobs: int
) -> Iterator[Outcome]:
    """Build each configuration in a forked process, ``jobs`` at a time, in order of completion."""
    fork = multiprocessing.get_context(
        "fork"
    )  # A kernel cannot be pickled, and imports are shared.
    waiting = list(reversed(configurations))
    running: dict[Connection, tuple[Configuration, ForkProcess]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            configuration = waiting.pop()
            ours, theirs = fork.Pipe(duplex=False)
            process = fork.Process(target=_child, args=(configuration, capability, theirs))
            process.start()
            theirs.close()
            running[ours] = configuration, process
        for ready in wait(list(running)):
            assert isinstance(ready, Connection)
            configuration, process = running.pop(ready)
            try:
                answer = ready.recv()
            except EOFError:
                process.join()
                answer = f"the compiler died with exit code {process.exitcode}"
            process.join()
            if isinstance(answer, Resources):
                faults = judge(configuration, answer, capability)
                yield Outcome(configuration, answer, faults)
            else:
                yield Outcome(configuration, None, (answer,))


def _line(outcome: Outcome, width: int) -> str:
    shape = f"{outcome.configuration.warps:>5}  {outcome.configuration.stages:>6}"
    found = outcome.resources
    taken = (
        f"{found.registers:>9}  {found.shared:>6}  {found.local:>5}  {found.load:>4}  "
        f"{found.matrix:<15}  {found.seconds:>5.1f}"
        if found
        else f"{'-':>9}  {'-':>6}  {'-':>5}  {'-':>4}  {'-':<15}  {'-':>5}"
    )
    verdict = "; ".join(outcome.faults) or "ok"
    return f"{outcome.configuration.name:<{width}}  {shape}  {taken}  {verdict}"


def _capability(target: str) -> int:
    match = re.fullmatch(r"sm_(\d+)", target)
    if match is None or int(match[1]) not in SHARED_LIMIT:
        known = ", ".join(f"sm_{capability}" for capability in SHARED_LIMIT)
        raise argparse.ArgumentTypeError(f"{target!r} is none of {known}")
    return int(match[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if every configuration compiles within its bounds."""
    parser = argparse.ArgumentParser(prog="python -m duplex_kernels.compile", description=__doc__)
    parser.add_argument("--target", type=_capability, default=90, metavar="sm_NN")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="only configurations whose name contains this")
    options = parser.parse_args(arguments)
    if os.environ.pop("TRITON_INTERPRET", "0") != "0" and "triton" in sys.modules:
        parser.error("the interpreter is on and Triton already imported: use a process of its own")
    configurations = [c for c in declared(options.target) if options.only in c.name]
    width = max((len(c.name) for c in configurations), default=4)
    print(
        f"{'configuration':<{width}}  warps  stages  registers  shared  local  load  "
        f"{'matrix':<15}  {'time':>5}  verdict   (sm_{options.target}; bytes, s)",
        flush=True,
    )
    failed = []
    for outcome in compile_all(configurations, options.target, options.jobs):
        print(_line(outcome, width), flush=True)
        if outcome.faults:
            failed.append(outcome)
    if failed or not configurations:
        names = ", ".join(outcome.configuration.name for outcome in failed)
        print(f"failed {len(failed)} of {len(configurations)} configurations: {names}")
        return 1
    print(f"ok {len(configurations)} configurations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
