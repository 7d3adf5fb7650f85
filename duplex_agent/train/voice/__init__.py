"""What the voice learns from: tokens, pitch and thinker states of the teacher, and its losses."""
