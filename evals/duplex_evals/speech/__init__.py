"""How speech sounds and what is heard of it: words, ratings, speaker, prosody, damage."""
