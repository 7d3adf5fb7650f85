"""One case: is it right, and how long does it take."""

from collections.abc import Callable

from duplex_kernels.bench.case import Case, Run, Setting
from duplex_kernels.bench.roofline import Roofline
from duplex_kernels.bench.table import Row
from duplex_kernels.bench.timing import Time, graphed, interpreted, launched


def run_case(case: Case, setting: Setting, roofline: Roofline) -> Row:
    """Check, then time ours and every peer; a failure becomes a row that says so."""
    captured: Callable[[Run, int], Time] = interpreted if setting.small else graphed
    plain: Callable[[Run, int], Time] = interpreted if setting.small else launched
    try:
        max_error = case.check()
        if not max_error <= case.tolerance:
            raise ArithmeticError(f"error {max_error:.1e} above {case.tolerance:.1e}")
        ours = captured(case.ours, case.sets)
    except Exception as error:
        return Row(case.table, case.shape, error=_reason(error))
    peers: dict[str, Time] = {}
    missing = dict(case.missing)
    every = [(captured, case.peers), (plain, case.eager_peers)]
    for timer, runs in every:
        for name, run in runs.items():
            try:
                peers[name] = timer(run, case.sets)
            except Exception as error:
                missing[f"{name}, {case.shape}"] = _reason(error)
    return Row(
        table=case.table,
        shape=case.shape,
        max_error=max_error,
        tolerance=case.tolerance,
        ours=ours,
        floor=roofline.floor(case.moved, case.operations),
        peers=peers,
        missing=missing,
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:160]
