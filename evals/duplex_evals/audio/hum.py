"""A sound that energy and a voice detector both take for speech, with edges to the sample."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_RATE_HZ

PITCH_HZ = 110.0
GLIDE_HZ = 250.0
# Hz, width, gain, direction of the glide. Without moving formants Silero takes it for a machine.
FORMANTS = ((600.0, 150.0, 1.0, 1), (1_100.0, 200.0, 1.0, -1), (2_500.0, 300.0, 0.3, 0))
SYLLABLES_HZ = 4.0
LOOP_S = 2  # a whole number of periods of everything above


def voice_hum(first: int, last: int) -> NDArray[np.float32]:
    """Samples ``first`` to ``last`` of an endless babble at 24 kHz, peak about 0.3.

    A pulse train with a wandering pitch through three formants, four syllables a second that
    never fall silent: any cut out of it starts and ends loud.
    """
    loop = _loop()
    return loop[np.arange(first, last) % len(loop)]


@cache
def _loop() -> NDArray[np.float32]:
    time = np.arange(LOOP_S * AGENT_RATE_HZ) / AGENT_RATE_HZ
    # The integral of 110 Hz - 20 Hz * sin(2 pi 1.5 t): the phase is a function of time alone.
    phase = 2 * np.pi * PITCH_HZ * time + 20 / 1.5 * np.cos(2 * np.pi * 1.5 * time)
    glide = GLIDE_HZ * np.sin(np.pi * SYLLABLES_HZ * time)
    audio = np.zeros(len(time))
    for harmonic in range(1, 40):
        hertz = PITCH_HZ * harmonic
        gain = 0.02 + sum(
            g * np.exp(-(((hertz - f - sign * glide) / w) ** 2)) for f, w, g, sign in FORMANTS
        )
        audio += gain * np.sin(harmonic * phase)
    envelope = 0.6 + 0.4 * np.sin(2 * np.pi * SYLLABLES_HZ * time)
    return np.asarray(0.05 * envelope * audio, np.float32)
