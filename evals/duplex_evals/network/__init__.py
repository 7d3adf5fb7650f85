"""What the networked runners are made of: a paced microphone, a listener, the protocols."""
