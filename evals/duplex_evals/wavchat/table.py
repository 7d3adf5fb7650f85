"""The rows of the WavChat survey's evaluation table (arXiv:2411.13577, table 3), and ours.

``claim`` names what an agent must claim in ``abilities`` for a row to be more than N/A; rows
without one are asked of every agent. The survey's tables tick benchmarks; what stands here is how
this suite measures the same ability without them.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Row:
    """``metric`` is what the survey names. A claimed row that has no test here says so."""

    level: str
    ability: str
    task: str
    metric: str
    claim: str = ""


_B, _A, _X = "basic", "advanced", "added"
_SOUND, _MUSIC = "audio understanding and generation", "music understanding and generation"
_SPEECH = "speech intelligence"

ROWS: Final = (
    Row(_B, "text intelligence", "reasoning", "accuracy"),
    Row(_B, "text intelligence", "instruction following", "MT metrics", "instructions"),
    Row(_B, "text intelligence", "conversational QA", "MT metrics"),
    Row(_B, "speech quality", "MOS and WER", "MOS, WER"),
    Row(_B, "streaming latency", "real-time dialogue", "real-time factor"),
    Row(_A, _SOUND, "audio classification", "accuracy", "audio_understanding"),
    Row(_A, _SOUND, "sound event detection", "accuracy", "audio_understanding"),
    Row(_A, _SOUND, "audio captioning", "MT metrics", "audio_understanding"),
    Row(_A, _SOUND, "audio-motivated creative writing", "subjective", "audio_understanding"),
    Row(_A, _SOUND, "audio generation", "MOS, FD, IS, KL, FAD, CLAP", "audio_generation"),
    Row(_A, _MUSIC, "music captioning", "MT metrics", "music_understanding"),
    Row(_A, _MUSIC, "music classification", "accuracy", "music_understanding"),
    Row(_A, _MUSIC, "music synthesis", "MOS", "music_generation"),
    Row(_A, "multilingual", "speech translation", "MT metrics", "translation"),
    Row(_A, "context learning", "context-aware QA", "MT metrics", "memory"),
    Row(_A, "interaction", "interaction events", "statistics"),
    Row(_A, "multimodal", "multimodal QA", "MT metrics", "vision"),
    Row(_A, "security", "attack events", "attack success rate"),
    Row(_A, _SPEECH, "speaker information", "accuracy", "speaker_understanding"),
    Row(_A, _SPEECH, "paralinguistic classification", "accuracy", "emotion_understanding"),
    Row(_A, _SPEECH, "conditioned response", "MT metrics", "emotion_understanding"),
    Row(_A, _SPEECH, "controllable style generation", "MT metrics", "style_control"),
    # What the survey folds into other rows or leaves out.
    Row(_X, "speech-text alignment", "own words", "WER, CER"),
    Row(_X, "multilingual", "reply language", "language identification"),
    Row(_X, "robustness", "degraded user sound", "difference to clean"),
    Row(_X, "stability", "audio integrity", "counts"),
)


def row_of(task: str) -> Row:
    """The row of that task. Raises KeyError."""
    for row in ROWS:
        if row.task == task:
            return row
    raise KeyError(task)
