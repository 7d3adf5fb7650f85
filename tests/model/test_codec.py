import torch

from duplex_agent.model.codec import CodecConfig, CodecDecoder
from duplex_agent.model.latents import LatentTransform


def _decoder() -> CodecDecoder:
    torch.manual_seed(0)
    return CodecDecoder(CodecConfig(width=32, token_blocks=1, frame_blocks=2)).eval()


@torch.inference_mode()
def test_one_token_at_a_time_equals_the_whole_sentence() -> None:
    decoder, latents = _decoder(), torch.randn(2, 9, 64)
    whole, _ = decoder(latents, decoder.new_state(2))
    state, pieces = decoder.new_state(2), []
    for tick in range(9):
        pcm, state = decoder(latents[:, tick : tick + 1], state)
        assert pcm.shape == (2, 1920)
        pieces.append(pcm)
    assert whole.abs().max() > 0.01
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_cloned_state_goes_its_own_way() -> None:
    decoder, latents = _decoder(), torch.randn(1, 3, 64)
    _, state = decoder(latents[:, :1], decoder.new_state())
    kept = state.clone()
    first, _ = decoder(latents[:, 1:2], state)
    decoder(latents[:, 2:3], state)
    again, _ = decoder(latents[:, 1:2], kept)
    assert torch.equal(first, again)


def test_tokens_are_white_and_keep_most_of_the_sound() -> None:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(1920 * 200) / 24_000
    tone = (time * 2 * torch.pi * (150 + 100 * torch.sin(time * 5))).sin()
    level = torch.rand(200, generator=generator).repeat_interleave(1920)
    pcm = (tone * level + 0.05 * torch.randn(len(time), generator=generator))[None]
    transform = LatentTransform()
    kept = transform.fit(transform.patches(pcm)[0])
    tokens = transform.encode(pcm)[0]
    assert kept > 0.6
    assert tokens.shape == (200, 64)
    torch.testing.assert_close(tokens.std(dim=0), torch.ones(64), atol=0.02, rtol=0)
