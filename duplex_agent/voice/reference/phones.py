"""The speller as a PyTorch module: convolutions over characters, without a dictionary."""

import torch
from torch import Tensor, nn

from duplex_agent.voice.config import PhonesConfig
from duplex_agent.voice.phones import PHONES, SLOTS_PER_CHARACTER, character_ids
from duplex_agent.voice.reference.text_conv import TextConv, TextNetwork
from duplex_agent.voice.spoken_text import SPEAKABLE


class Phones(TextNetwork):
    """The speller: character ids [batch, n] -> CTC log-probabilities [batch, 3 n, phones + 1]."""

    def __init__(self, config: PhonesConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PhonesConfig()
        self.embedding = nn.Embedding(len(SPEAKABLE) + 1, config.width)
        self.conv = TextConv(config.width, config.layers)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, SLOTS_PER_CHARACTER * (len(PHONES) + 1))

    def forward(self, characters: Tensor) -> Tensor:
        x = self.conv(self.embedding(characters), characters != 0)
        logits = self.out(self.norm(x)).float()
        slots = logits.reshape(len(characters), -1, len(PHONES) + 1)
        return slots.log_softmax(dim=-1)

    @torch.inference_mode()
    def best_slots(self, text: str) -> list[int]:
        """Most likely symbol of each of the ``3 * len(text)`` slots, ``BLANK`` included."""
        if not text:
            return []
        best: list[int] = self(torch.tensor([character_ids(text)]))[0].argmax(dim=-1).tolist()
        return best
