"""Judge-free metrics: one file per family of definitions, from two channels and what was placed."""
