"""How well speech is understood: the same LLM asked aloud and in writing, without floor or mouth.

One module for each part of ``duplex-evals understanding``.
"""
