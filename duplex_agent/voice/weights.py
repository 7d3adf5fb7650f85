"""The voice's weight files: what each must hold, by name and shape, and what a mouth's notes say.

Names are those of the modules in ``reference``, which the files were saved from.
"""

from pathlib import Path
from typing import Final

from duplex_agent.errors import CheckpointError
from duplex_agent.runtime import checkpoint
from duplex_agent.runtime.checkpoint import Arrays
from duplex_agent.voice.config import (
    BINS,
    CODEC_KERNEL,
    FRAMES_PER_TOKEN,
    LATENT_WIDTH,
    SLOTS_PER_TICK,
    TEXT_LEFT,
    TEXT_RIGHT,
    TICKS_SEEN,
    TIME_FREQUENCIES,
    CodecConfig,
    FlowConfig,
    MouthConfig,
    PhonesConfig,
    Sampling,
    TimingConfig,
)
from duplex_agent.voice.phones import PHONES, SLOTS_PER_CHARACTER
from duplex_agent.voice.spoken_text import SPEAKABLE

MOUTH_FILE: Final = "mouth.safetensors"
CODEC_FILE: Final = "codec.safetensors"
TEXT_FILE: Final = "phones.safetensors"
"""Speller and timing model, under ``phones.`` and ``timing.``."""

Shapes = dict[str, tuple[int, ...]]


def load_mouth_weights(
    path: Path, config: MouthConfig, prefixes: tuple[str, ...] = ("",)
) -> tuple[Arrays, Sampling]:
    """Weights of a mouth with a flow head, those under ``prefixes``, and what its steps are.

    Raises CheckpointError for a damaged file, other sizes, and another kind of head.
    """
    weights, notes = checkpoint.load(path, prefixes)
    if notes.get("head", "flow") != "flow":
        raise CheckpointError(f"{path} holds a mouth of {notes['head']}, which is for comparison")
    shapes = {k: v for k, v in mouth_shapes(config).items() if k.startswith(prefixes)}
    checkpoint.check_shapes("the mouth", weights, shapes)
    return weights, noted_sampling(path, notes)


def noted_sampling(path: Path, notes: dict[str, str]) -> Sampling:
    """What the steps of the mouth in ``path`` are; CheckpointError if no version here knows it."""
    try:
        return Sampling(notes.get("sampling", Sampling.EULER))
    except ValueError as error:
        raise CheckpointError(f"{path} asks for {error}; it is of a newer version") from error


def load_codec_weights(path: Path, config: CodecConfig) -> Arrays:
    """Weights of the codec. Raises CheckpointError for a damaged file and other sizes."""
    weights, _ = checkpoint.load(path)
    checkpoint.check_shapes("the codec", weights, codec_shapes(config))
    return weights


def load_text_weights(
    path: Path, speller: PhonesConfig, timing: TimingConfig
) -> tuple[Arrays, Arrays]:
    """Weights of speller and timing model. Raises CheckpointError as ``load_codec_weights``."""
    weights, _ = checkpoint.load(path)
    own = checkpoint.under(weights, "phones."), checkpoint.under(weights, "timing.")
    checkpoint.check_shapes("the speller", own[0], speller_shapes(speller))
    checkpoint.check_shapes("the timing model", own[1], timing_shapes(timing))
    return own


def mouth_shapes(config: MouthConfig) -> Shapes:
    """Of the talker and, under ``head.``, the flow head."""
    width, wide = config.width, config.feed_forward
    seen = SLOTS_PER_TICK * TICKS_SEEN * config.phone_width
    shapes: Shapes = {
        "latent_mean": (LATENT_WIDTH,),
        "latent_deviation": (LATENT_WIDTH,),
        "phones.weight": (config.phone_width, len(PHONES)),
        **_linear("enter_phones", width, seen),
        **_linear("enter_latent", width, LATENT_WIDTH),
        "thinker_norm.weight": (config.thinker_width,),
        "enter_thinker.weight": (width, config.thinker_width),
        "norm.weight": (width,),
    }
    for index in range(config.layers):
        layer = f"layers.{index}"
        shapes |= {
            f"{layer}.attention_norm.weight": (width,),
            f"{layer}.qkv.weight": (3 * width, width),
            f"{layer}.out.weight": (width, width),
            f"{layer}.mlp_norm.weight": (width,),
            f"{layer}.gate_up.weight": (2 * wide, width),
            f"{layer}.down.weight": (width, wide),
        }
    head = _flow_shapes(config.flow, width + LATENT_WIDTH)
    return shapes | {f"head.{name}": shape for name, shape in head.items()}


def _flow_shapes(config: FlowConfig, condition: int) -> Shapes:
    width = config.width
    shapes = {
        **_linear("enter", width, LATENT_WIDTH),
        **_linear("condition", width, condition),
        **_linear("last_modulation", 2 * width, width),
        **_linear("out", LATENT_WIDTH, width),
    }
    for time in ("start_time", "end_time"):
        shapes |= _linear(f"{time}.enter", width, 2 * TIME_FREQUENCIES)
        shapes |= _linear(f"{time}.out", width, width)
    for index in range(config.blocks):
        block = f"blocks.{index}"
        shapes |= _linear(f"{block}.up", width, width) | _linear(f"{block}.down", width, width)
        shapes |= _linear(f"{block}.modulation", 3 * width, width)
    return shapes


def codec_shapes(config: CodecConfig) -> Shapes:
    """Of the codec's network; the rest of it has no weights."""
    width, wide = config.width, config.width * config.expansion
    shapes = {
        **_linear("enter", width, LATENT_WIDTH),
        **_linear("expand", width * FRAMES_PER_TOKEN, width),
        **_norm("norm", width),
        **_linear("pitch", 1, width),
        **_linear("head", 4 * BINS, width),
    }
    for index in range(config.token_blocks + config.frame_blocks):
        block = f"blocks.{index}"
        shapes |= {f"{block}.conv.weight": (width, 1, CODEC_KERNEL), f"{block}.conv.bias": (width,)}
        shapes |= _norm(f"{block}.norm", width)
        shapes |= _linear(f"{block}.up", wide, width) | _linear(f"{block}.down", width, wide)
        shapes[f"{block}.gain"] = (width,)
    return shapes


def speller_shapes(config: PhonesConfig) -> Shapes:
    """Of the speller; symbol 0 is padding."""
    slots = SLOTS_PER_CHARACTER * (len(PHONES) + 1)
    return _text_shapes(config.width, config.layers, len(SPEAKABLE) + 1, slots)


def timing_shapes(config: TimingConfig) -> Shapes:
    """Of the timing model; the last symbol is padding."""
    return _text_shapes(config.width, config.layers, len(PHONES) + 1, 1)


def _text_shapes(width: int, layers: int, symbols: int, out: int) -> Shapes:
    shapes = {"embedding.weight": (symbols, width), **_norm("norm", width)}
    shapes |= _linear("out", out, width)
    for index in range(layers):
        conv = f"conv.convs.{index}"
        shapes |= _norm(f"conv.norms.{index}", width)
        shapes |= {f"{conv}.weight": (width, width, TEXT_LEFT + TEXT_RIGHT + 1)}
        shapes |= {f"{conv}.bias": (width,)} | _linear(f"conv.mixes.{index}", width, width)
    return shapes


def _linear(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
