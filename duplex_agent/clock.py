"""The one clock of the project: ticks of 80 ms, 16 kHz in, 24 kHz out."""

from typing import Final

TICK_MS: Final = 80
USER_RATE_HZ: Final = 16_000
AGENT_RATE_HZ: Final = 24_000
USER_TICK_SAMPLES: Final = USER_RATE_HZ * TICK_MS // 1000
AGENT_TICK_SAMPLES: Final = AGENT_RATE_HZ * TICK_MS // 1000
