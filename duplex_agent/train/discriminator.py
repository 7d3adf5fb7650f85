"""A small judge of spectrograms at three resolutions (hinge loss, feature matching)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SIZES = (512, 1024, 2048)


class _OneResolution(nn.Module):
    window: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        weight_norm = nn.utils.parametrizations.weight_norm
        shapes = [(2, channels), (channels, channels), (channels, channels), (channels, channels)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (9, 3), stride=(2 if i == 0 else 4, 1), padding=(4, 1)))
            for i, (a, b) in enumerate(shapes)
        )
        self.out = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=1))

    def forward(self, pcm: Tensor) -> tuple[Tensor, list[Tensor]]:
        with torch.autocast(pcm.device.type, enabled=False):
            spectrum = torch.stft(
                pcm, self.size, self.size // 4, window=self.window, return_complex=True
            )
            # Square-root compression keeps quiet partials visible.
            magnitude = (spectrum.abs() + 1e-6).sqrt()
            x = torch.view_as_real(spectrum / magnitude).permute(0, 3, 1, 2)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return self.out(x), features


class SpectrogramDiscriminator(nn.Module):
    """Judges of complex spectrograms; [batch, samples] in."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.judges = nn.ModuleList(_OneResolution(size, channels) for size in _SIZES)

    def generator_loss(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Hinge loss of the generator and the L1 distance of hidden features."""
        adversarial = made.new_zeros(())
        matching = made.new_zeros(())
        for judge in self.judges:
            score, features = judge(made)
            with torch.no_grad():
                _, wanted = judge(real)
            adversarial = adversarial + F.relu(1 - score.float()).mean()
            for a, b in zip(features, wanted, strict=True):
                matching = matching + F.l1_loss(a.float(), b.float()) / b.float().abs().mean()
        return adversarial / len(_SIZES), matching / (4 * len(_SIZES))

    def discriminator_loss(self, made: Tensor, real: Tensor) -> Tensor:
        """Hinge loss of the judges; ``made`` must be detached."""
        total = made.new_zeros(())
        for judge in self.judges:
            total = total + F.relu(1 - judge(real)[0].float()).mean()
            total = total + F.relu(1 + judge(made)[0].float()).mean()
        return total / len(_SIZES)
