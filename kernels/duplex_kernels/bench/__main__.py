"""``python -m duplex_kernels.bench``: correct first, then timed, then one table for each kernel.

On a GPU times come from replays of CUDA graphs over buffers that exceed the L2 cache, and stand
beside the floor that the machine's own measured copy and product rates give. ``--cpu`` runs tiny
shapes in Triton's interpreter: it proves that the benchmark works and says nothing of speed.

Results are saved in the folder ``--out`` after each case, and a case that is found there is not
run again: a run that is cut short, or ends by itself after ``--seconds``, goes on where it was.
"""

import argparse
import gc
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

BENCHMARKS = ("paged_attention", "rope_append", "flow_head_step", "launch_savers")
"""Modules of this package with a ``cases`` function; a new one is added here."""

UNFINISHED = 3
"""Exit status of a run that stopped for want of time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if every case was correct and none failed."""
    parser = argparse.ArgumentParser(prog="python -m duplex_kernels.bench", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="tiny shapes in the interpreter")
    parser.add_argument("--out", type=Path, help="folder for results.json and the plots")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="may be repeated")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin no further case after this long"
    )
    options = parser.parse_args(arguments)
    if options.cpu:
        # Before anything imports Triton, which decides once.
        os.environ["TRITON_INTERPRET"] = "1"

    import torch

    from duplex_kernels.bench.case import Setting
    from duplex_kernels.bench.measure import run_case
    from duplex_kernels.bench.plot import draw
    from duplex_kernels.bench.report import Report
    from duplex_kernels.bench.table import Row, render

    if not options.cpu and not torch.cuda.is_available():
        parser.error("no NVIDIA GPU here; --cpu proves that the benchmark runs, without figures")
    began = time.monotonic()
    setting = Setting(device=torch.device("cpu" if options.cpu else "cuda"), small=options.cpu)
    report = Report.begin(setting, options.out)
    print(report.head())

    unfinished = False
    for name in options.only or BENCHMARKS:
        try:
            for case in importlib.import_module(f"duplex_kernels.bench.{name}").cases(setting):
                if report.has(case.table, case.shape):
                    continue
                if time.monotonic() - began > options.seconds:
                    unfinished = True
                    break
                report.add(run_case(case, setting, report.roofline))
                print(".", end="", flush=True)
                del case
                gc.collect()
        except Exception as error:
            report.add(Row(name, "making the cases", error=f"{type(error).__name__}: {error}"))
        if unfinished:
            break
    print()
    for table in report.tables():
        rows = [row for row in report.rows if row.table == table]
        print(f"\n## {table} ({report.machine})\n\n{render(rows)}")
        if options.out and not draw(rows, report.machine, options.out / f"{table}.png"):
            print("- no plot: matplotlib is not installed, or nothing was timed")
    failed = [f"{row.table}, {row.shape}" for row in report.rows if row.error]
    if failed:
        print(f"\nfailed: {'; '.join(failed)}")
        return 1
    if unfinished:
        print(f"\nstopped after {len(report.rows)} cases for want of time: call again to go on")
        return UNFINISHED
    print(f"\nok {len(report.rows)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
