"""Who has the floor: voice activity, end of turn, the tick."""
