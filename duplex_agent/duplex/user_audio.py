"""Audio of the user as a session takes it: usable, or refused before anything happens."""

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.errors import AudioError


def checked(user_pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """A tick of user sound clipped to -1..1. Raises AudioError when it cannot be used."""
    if not isinstance(user_pcm, np.ndarray) or user_pcm.shape != (USER_TICK_SAMPLES,):
        shape = getattr(user_pcm, "shape", type(user_pcm).__name__)
        raise AudioError(f"a tick takes float samples [{USER_TICK_SAMPLES}], got {shape}")
    if not np.issubdtype(user_pcm.dtype, np.floating):
        raise AudioError(f"a tick takes float samples in -1..1, got {user_pcm.dtype}")
    if not np.isfinite(user_pcm).all():
        raise AudioError("a tick holds NaN or infinite samples")
    return user_pcm.astype(np.float32).clip(-1.0, 1.0)
