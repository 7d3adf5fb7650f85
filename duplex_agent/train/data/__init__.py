"""Training data: texts, synthetic users, the teacher voice, rooms and microphones."""
