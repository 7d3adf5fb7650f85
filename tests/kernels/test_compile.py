"""The compile check: every declared configuration passes, and a bad one does not.

The compiler runs in a process of its own, for this one has the interpreter.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from duplex_kernels.compile import Resources, judge, matrix_instruction, resource_usage, widest_load
from duplex_kernels.configuration import Configuration

_FLAWED = """
import triton
import triton.language as tl

from duplex_kernels.compile import compile_all
from duplex_kernels.configuration import Configuration


@triton.jit
def copy(x, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at))


@triton.jit
def mismatched(x, out, BLOCK: tl.constexpr):
    tl.store(out + tl.arange(0, BLOCK), tl.load(x + tl.arange(0, 2 * BLOCK)))


@triton.jit
def crowded(x, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    value = tl.load(x + at)
    tl.store(out + at, value / tl.sum(value, axis=0))


def declare(name, kernel, block, aligned=("x", "out"), **bounds):
    types = {"x": "*fp32", "out": "*fp32"}
    return Configuration(name, kernel, types, {"BLOCK": block}, aligned, **bounds)


if __name__ == "__main__":
    flawed = [
        declare("good", copy, 512),
        declare("narrow", copy, 512, aligned=()),
        declare("greedy", copy, 512, max_registers=1),
        declare("scalar", copy, 512, needs_mma=True),
        declare("broken", mismatched, 512),
        declare("spilling", crowded, 16384, warps=1),
    ]
    for outcome in compile_all(flawed, 90, 1):
        print(outcome.configuration.name, "|", "; ".join(outcome.faults))
"""


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    # The variable stays set: the command line has to put it aside itself.
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)


def test_every_declared_configuration_compiles_for_sm_90_within_its_bounds() -> None:
    done = _run("-m", "duplex_kernels.compile", "--target", "sm_90", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    *table, last = done.stdout.splitlines()
    assert last == f"ok {len(table) - 1} configurations"
    for kernel in ("rope_append", "paged_attention", "flow_head_step", "sampling"):
        assert any(line.startswith(kernel) for line in table)


def test_what_is_wrong_with_a_configuration_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    script = tmp_path / "flawed.py"
    script.write_text(_FLAWED)
    done = _run(script)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" | ") for line in done.stdout.splitlines())
    assert said["good"] == ""
    assert said["narrow"] == "widest load 4 bytes, bound 16"
    assert "registers, bound 1" in said["greedy"]
    assert said["scalar"] == "no matrix instruction"
    assert "ValueError" in said["broken"] or "CompilationError" in said["broken"]
    assert "bytes of local memory" in said["spilling"]


def test_a_target_nobody_knows_is_refused() -> None:
    done = _run("-m", "duplex_kernels.compile", "--target", "sm_12")
    assert done.returncode == 2
    assert "sm_90" in done.stderr


def test_nothing_to_compile_is_a_failure() -> None:
    assert _run("-m", "duplex_kernels.compile", "--only", "no such name").returncode == 1


@pytest.mark.parametrize(
    ("line", "width"),
    [
        ("ld.global.b32 { %r1 }, [ %rd1 + 0 ];", 4),
        ("@%p1 ld.global.L1::evict_last.v4.b32 { %r1, %r2, %r3, %r4 }, [ %rd1 ];", 16),
        ("ld.global.nc.v2.u64 {%rd1, %rd2}, [%rd3];", 16),
        ("cp.async.cg.shared.global [ %r1 + 0 ], [ %rd1 + 0 ], 0x10, %r2;", 16),
        ("cp.async.ca.shared.global [ %r1 + 0 ], [ %rd1 + 0 ], 8;", 8),
        ("st.global.v4.b32 [ %rd1 ], { %r1, %r2, %r3, %r4 };", 0),
        ("ld.shared.v4.b32 { %r1, %r2, %r3, %r4 }, [ %r5 ];", 0),
    ],
)
def test_the_widest_load_is_read_from_the_instructions(line: str, width: int) -> None:
    assert widest_load(f"ld.global.b8 {{ %r1 }}, [ %rd1 ];\n{line}") == max(width, 1)


def test_the_listing_and_the_matrix_instruction_are_read() -> None:
    listing = " Function k:\n  REG:76 STACK:8 SHARED:1024 LOCAL:0 CONSTANT[0]:588 TEXTURE:0"
    assert resource_usage(listing) == {"REG": 76, "STACK": 8, "LOCAL": 0}
    with pytest.raises(ValueError, match="no resource usage"):
        resource_usage("cuobjdump: error")
    both = "mma.sync.aligned.m16n8k16; wgmma.mma_async.sync.aligned.m64n64k16"
    assert matrix_instruction(both) == "wgmma.mma_async"
    assert matrix_instruction("fma.rn.f32") == "-"


def test_shared_memory_is_held_to_what_the_target_has() -> None:
    configuration = Configuration("k", None, {}, {})
    found = Resources(registers=9, shared=150 * 1024, local=0, load=16, matrix="-", seconds=0.1)
    assert judge(configuration, found, 90) == ()
    assert judge(configuration, found, 89) == ("153600 bytes shared, bound 101376",)


def test_arguments_that_are_not_the_kernels_own_are_refused() -> None:
    class Kernel:
        arg_names = ("x", "BLOCK")

    right = Configuration("k", Kernel, {"x": "*fp32"}, {"BLOCK": 8}, ("x",))
    assert right.signature == {"x": "*fp32", "BLOCK": "constexpr"}
    assert right.attributes == {(0,): [["tt.divisibility", 16]]}
    with pytest.raises(ValueError, match="y"):
        _ = Configuration("k", Kernel, {"x": "*fp32", "y": "i32"}, {"BLOCK": 8}).signature
    with pytest.raises(ValueError, match="BLOCK"):
        _ = Configuration("k", Kernel, {"x": "*fp32"}, {"BLOCK": 8}, ("BLOCK",)).signature
