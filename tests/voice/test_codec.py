import math

import torch

from duplex_agent.voice.config import CodecConfig
from duplex_agent.voice.reference.codec import CodecDecoder
from duplex_agent.voice.reference.excitation import advance_phase


def _decoder() -> CodecDecoder:
    torch.manual_seed(0)
    return CodecDecoder(CodecConfig(width=32, token_blocks=1, frame_blocks=2)).eval()


@torch.inference_mode()
def test_one_token_at_a_time_equals_the_whole_sentence() -> None:
    decoder, latents = _decoder(), torch.randn(2, 9, 48)
    whole, _ = decoder(latents, decoder.new_state(2))
    state, pieces = decoder.new_state(2), []
    for tick in range(9):
        pcm, state = decoder(latents[:, tick : tick + 1], state)
        assert pcm.shape == (2, 1920)
        pieces.append(pcm)
    assert whole.abs().max() > 0.01
    # A last-digit difference in the pitch is a hundred times larger in the hundredth harmonic.
    error = (torch.cat(pieces, dim=1) - whole).abs().max()
    assert error < 0.003 * whole.abs().max()


@torch.inference_mode()
def test_a_cloned_state_goes_its_own_way() -> None:
    decoder, latents = _decoder(), torch.randn(1, 3, 48)
    _, state = decoder(latents[:, :1], decoder.new_state())
    kept = state.clone()
    first, _ = decoder(latents[:, 1:2], state)
    decoder(latents[:, 2:3], state)
    again, _ = decoder(latents[:, 1:2], kept)
    assert torch.equal(first, again)


@torch.inference_mode()
def test_pulses_sound_at_the_pitch_that_the_network_asks_for() -> None:
    decoder = _decoder()
    decoder.pitch.weight.zero_()
    decoder.pitch.bias.fill_(math.log(150 / 90))
    bias = decoder.head.bias.view(4, -1)
    bias[0], bias[3] = 0.0, -20.0
    decoder.head.weight.zero_()
    pcm, _ = decoder(torch.zeros(1, 12, 48), decoder.new_state())
    spectrum = torch.fft.rfft(pcm[0, 1920 : 1920 + 12_000] * torch.hann_window(12_000)).abs()
    harmonics = torch.arange(1, 60) * 75  # 150 Hz in bins of 2 Hz
    between = harmonics + 37
    assert spectrum[harmonics].min() > 20 * spectrum[between].max()


def test_phase_runs_on_from_token_to_token() -> None:
    hz = 100 + 50 * torch.rand(1, 40, generator=torch.Generator().manual_seed(0))
    start = torch.zeros(1, dtype=torch.float64)
    whole = advance_phase(hz, start, hz[:, 0])
    first = advance_phase(hz[:, :13], start, hz[:, 0])
    rest = advance_phase(hz[:, 13:], first[:, -1], hz[:, 12])
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole, atol=1e-9, rtol=0)
