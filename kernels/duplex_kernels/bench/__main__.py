"""``python -m duplex_kernels.bench``: correct first, then timed, then one table for each kernel.

On a GPU times come from replays of CUDA graphs over buffers that exceed the L2 cache, and stand
beside the floor that the machine's own measured copy and product rates give. ``--cpu`` runs tiny
shapes in Triton's interpreter: it proves that the benchmark works and says nothing of speed.
Results are saved after each case, so a run that is cut short leaves what it had measured.
"""

import argparse
import gc
import importlib
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

BENCHMARKS = ("flow_head_step", "launch_savers")
"""Modules of this package with a ``cases`` function; a new one is added here."""

_NO_GPU = "Triton's interpreter on a CPU, no figures of performance"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if every case was correct and none failed."""
    parser = argparse.ArgumentParser(prog="python -m duplex_kernels.bench", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="tiny shapes in the interpreter")
    parser.add_argument("--out", type=Path, help="folder for results.json and the plots")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="may be repeated")
    options = parser.parse_args(arguments)
    if options.cpu:
        # Before anything imports Triton, which decides once.
        os.environ["TRITON_INTERPRET"] = "1"

    import torch

    from duplex_kernels.bench.case import Setting
    from duplex_kernels.bench.measure import run_case
    from duplex_kernels.bench.plot import draw
    from duplex_kernels.bench.roofline import Roofline, measure
    from duplex_kernels.bench.table import Row, render

    if not options.cpu and not torch.cuda.is_available():
        parser.error("no NVIDIA GPU here; --cpu proves that the benchmark runs, without figures")
    device = torch.device("cpu" if options.cpu else "cuda")
    setting = Setting(device=device, small=options.cpu)
    roofline = Roofline() if options.cpu else measure(device)
    machine = _NO_GPU if options.cpu else torch.cuda.get_device_name(device)
    head = {
        "machine": machine,
        "torch": torch.__version__,
        "triton": version("triton"),
        "python": platform.python_version(),
        "bytes_per_second": roofline.bytes_per_second,
        "operations_per_second": roofline.operations_per_second,
    }
    print("\n".join(f"{name}: {value or 'not measured'}" for name, value in head.items()))

    rows: list[Row] = []
    for name in options.only or BENCHMARKS:
        cases = importlib.import_module(f"duplex_kernels.bench.{name}").cases(setting)
        for case in cases:
            rows.append(run_case(case, setting, roofline))
            print(".", end="", flush=True)
            del case
            gc.collect()
            if options.out:
                save(options.out, head, [row.as_json() for row in rows])
    print()
    for table in dict.fromkeys(row.table for row in rows):
        own = [row for row in rows if row.table == table]
        print(f"\n## {table} ({machine})\n\n{render(own)}")
        if options.out and not draw(own, machine, options.out / f"{table}.png"):
            print("- no plot: matplotlib is not installed, or nothing was timed")
    failed = [f"{row.table}, {row.shape}" for row in rows if row.error]
    print(f"\nfailed: {'; '.join(failed)}" if failed else f"\nok {len(rows)} cases")
    return 1 if failed else 0


def save(folder: Path, head: Mapping[str, object], rows: list[dict[str, object]]) -> None:
    """Write results.json, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "results.json.part"
    part.write_text(json.dumps({**head, "rows": rows}, indent=1))
    part.replace(folder / "results.json")


if __name__ == "__main__":
    sys.exit(main())
