"""What things cost: callers of a server, ticks of an hour, steps of single parts."""
