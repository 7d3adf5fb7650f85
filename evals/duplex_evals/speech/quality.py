"""How the agent's voice would be rated: DNSMOS P.835 and P.808, PLCMOS v2 (Microsoft, MIT).

Networks that imitate listeners, from the `speechmos` wheel. They hear 16 kHz, need samples within
-1..1, and are blind to a missing upper band. Silence scores higher than noise, so a sound is
trimmed before it is rated.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_RATE_HZ
from duplex_evals.errors import EvalError

SHORTEST_S: Final = 0.5
WINDOW: Final = int(9.01 * USER_RATE_HZ)
_PLCMOS_SEED: Final = 0
"""PLCMOS averages 15 imagined raters that it draws from NumPy's global generator."""


@dataclass(frozen=True)
class SpeechQuality:
    """Mean opinion scores, 1 to 5: signal, background, overall (P.835), P.808, PLCMOS."""

    signal: float
    background: float
    overall: float
    p808: float
    plcmos: float


NAMES: Final = tuple(field.name for field in fields(SpeechQuality))


@lru_cache(maxsize=1)
def _dnsmos() -> Any:
    from speechmos import dnsmos  # type: ignore[import-untyped]

    folder = Path(dnsmos.__file__).parent / "dnsmos_models"
    signal, listener = folder / "sig_bak_ovr.onnx", folder / "model_v8.onnx"
    rater = dnsmos.DNSMOS(str(signal), str(listener))
    rater.onnx_sess, rater.p808_onnx_sess = _session(signal), _session(listener)
    return rater


@lru_cache(maxsize=1)
def _plcmos() -> Any:
    from speechmos import plcmos

    rater = plcmos.PLCMOS()
    rater.session = _session(Path(rater.model_path))
    return rater


def _session(network: Path) -> Any:
    """On one thread: the wheel's own sessions take every core and spin, which doubles their time
    on a machine that has something else to do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(network), options)


def speech_quality(pcm: NDArray[np.float32]) -> SpeechQuality | None:
    """Ratings of trimmed speech float32 [n] at 16 kHz; None below half a second.

    Shorter speech than DNSMOS's window of nine seconds is repeated until it fills one: left to
    itself the wheel doubles it until it is longer and rates up to nine overlapping windows of the
    same words. Raises EvalError for NaN.
    """
    if len(pcm) < SHORTEST_S * USER_RATE_HZ:
        return None
    if not np.isfinite(pcm).all():
        raise EvalError("speech to be rated holds NaN or infinite samples")
    audio = pcm.astype(np.float32).clip(-1.0, 1.0)
    window = np.resize(audio, max(len(audio), WINDOW))
    rated = _dnsmos()(window, USER_RATE_HZ, False)
    state = np.random.get_state()  # noqa: NPY002 (speechmos uses the global generator)
    np.random.seed(_PLCMOS_SEED)  # noqa: NPY002
    try:
        concealed = _plcmos()(audio)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return SpeechQuality(
        signal=float(rated["sig_mos"]),
        background=float(rated["bak_mos"]),
        overall=float(rated["ovrl_mos"]),
        p808=float(rated["p808_mos"]),
        plcmos=float(concealed["plcmos"]),
    )


def rater_name() -> str:
    """What a report states."""
    return f"speechmos {version('speechmos')}: DNSMOS P.835, P.808, PLCMOS v2"
