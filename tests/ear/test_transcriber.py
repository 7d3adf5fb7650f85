"""The policy that turns hypotheses into committed words."""

from collections.abc import Sequence
from itertools import count, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duplex_agent.ear.encoder_config import FEATURES_PER_TICK
from duplex_agent.ear.transcriber import Transcriber, TranscriberConfig
from duplex_agent.ear.utterance import Sentence, Word
from duplex_agent.ear.whisper_decoder import Subword
from duplex_agent.ear.word_times import word_times

SILENCE = np.full((4, 1), -1.0, np.float32)
CONFIG = TranscriberConfig()
WORDS = ["", "what", "is", "the", "capital", "of", "france"]


class TickDecoder:
    """Decodes the word whose number is in a tick's features; the last one comes out ``unsure``.

    ``decoded_ticks`` counts the ticks it was given, ``drafts`` keeps what it was told to expect.
    """

    def __init__(self, unsure: bool = False) -> None:
        self.unsure = unsure
        self.decoded_ticks: list[int] = []
        self.drafts: list[list[int]] = []

    def cross_attention(self, features: np.ndarray) -> np.ndarray:
        return features

    def decode(
        self, attended: Sequence[np.ndarray], prefix: Sequence[int] = (), draft: Sequence[int] = ()
    ) -> list[Subword]:
        self.drafts.append(list(draft))
        numbers = np.concatenate(attended)[::4, 0].astype(int)
        self.decoded_ticks.append(int((numbers >= 0).sum()))
        ids = [int(n) for n in numbers if n > 0]
        known = [*prefix, *ids[_overlap(list(prefix), ids) :]]
        subwords = [Subword(i, ((f" {WORDS[i]}", 1.0),)) for i in known[len(prefix) :]]
        if self.unsure and subwords:
            subwords[-1] = Subword(99, ((" mumble", 1.0),))
        return subwords


def _overlap(prefix: list[int], ids: list[int]) -> int:
    """How many of ``ids`` at the start are in the prefix already."""
    return next((n for n in range(min(len(prefix), len(ids)), 0, -1) if prefix[-n:] == ids[:n]), 0)


def run(transcriber: Transcriber, ticks: list[int]) -> tuple[list[tuple[int, Word]], list[int]]:
    """Words with the ticks they were given out in, and the length of the window after each tick."""
    state, committed, windows = Sentence(), [], []
    for tick, number in enumerate(ticks):
        features = np.full((4, 1), number, np.float32)
        characters = f"{WORDS[number]} " if number else ""
        state, words, revised = transcriber.step(state, features, characters)
        del committed[len(committed) - revised :]
        committed += [(tick, word) for word in words]
        windows.append(len(state.cross_attention))
    return committed, windows


def spoken(*words: str, ticks_each: int = 3, rest: int = 16) -> list[int]:
    numbers = []
    for word in words:
        numbers += [WORDS.index(word), *[0] * (ticks_each - 1)]
    return [*[0] * 8, *numbers, *[0] * rest]


QUESTION = ("what", "is", "the", "capital", "of", "france")


def test_words_are_committed_while_the_speaker_goes_on_and_all_of_them_in_the_pause():
    committed, _ = run(Transcriber(TickDecoder(), SILENCE), spoken(*QUESTION))
    assert "".join(word.text for _, word in committed) == " What is the capital of france"
    last_character = 8 + 3 * 5
    assert committed[0][0] < last_character
    assert committed[-1][0] == last_character + CONFIG.pause


def test_a_committed_word_has_the_time_it_was_said():
    committed, _ = run(Transcriber(TickDecoder(), SILENCE), spoken(*QUESTION))
    assert [word.first_tick for _, word in committed] == [8, 11, 14, 17, 20, 23]
    assert all(word.first_tick <= word.last_tick <= tick for tick, word in committed)


def test_the_last_word_of_a_hypothesis_waits_until_it_is_sure():
    committed, _ = run(Transcriber(TickDecoder(unsure=True), SILENCE), spoken(*QUESTION, "is"))
    before_the_pause = [word.text for tick, word in committed if tick < 8 + 3 * 6 + CONFIG.pause]
    assert before_the_pause
    assert " mumble" not in before_the_pause


def test_quiet_and_a_single_character_are_never_decoded():
    decoder = TickDecoder()
    transcriber = Transcriber(decoder, SILENCE)
    run(transcriber, [0] * 200)
    state = Sentence()
    for characters in ["", "a", *[""] * 30]:
        state, words, _ = transcriber.step(state, np.zeros((4, 1), np.float32), characters)
        assert not words
    assert not decoder.decoded_ticks


def test_a_hypothesis_that_never_stops_is_cut_where_the_ctc_characters_end():
    class Endless(TickDecoder):
        longest = 0

        def decode(self, attended, prefix=(), draft=()):
            for i in count(len(prefix)):
                self.longest = max(self.longest, i + 1 - len(prefix))
                yield Subword(i, ((f" {WORDS[i % 6 + 1]}{chr(97 + i % 26)}", 1.0),))

    endless = Endless()
    committed, _ = run(Transcriber(endless, SILENCE), spoken("what", "is"))
    characters = sum(len(word.text.strip()) for _, word in committed)
    plausible = CONFIG.extra_characters + CONFIG.characters_per_character * len("whatis")
    assert 0 < characters <= plausible
    assert endless.longest <= CONFIG.pause_patience * plausible


def test_what_is_decoded_twice_but_spelled_once_is_committed_once():
    class Twice(TickDecoder):
        def decode(self, attended, prefix=(), draft=()):
            said = [Subword(i, ((f" {WORDS[i]}", 1.0),)) for i in (3, 4, 3, 4)]
            return said[len(prefix) :]

    committed, _ = run(Transcriber(Twice(), SILENCE), spoken("the", "capital"))
    assert "".join(word.text for _, word in committed) == " The capital"


class WrongAtFirst(TickDecoder):
    """Takes "the" for "of" until six words can be decoded at once."""

    def decode(self, attended, prefix=(), draft=()):
        said = super().decode(attended, (), draft)
        if len(said) < 6 or 5 in prefix:
            said = [Subword(5, ((" of", 1.0),)) if p.id == 3 else p for p in said]
        return said[len(prefix) :]


def test_a_word_that_the_ctc_characters_contradict_is_revised_in_the_pause():
    committed, _ = run(Transcriber(WrongAtFirst(), SILENCE), spoken(*QUESTION))
    assert "".join(word.text for _, word in committed) == " What is the capital of france"
    times = [word.first_tick for _, word in committed]
    assert times == sorted(times)


class Said(TickDecoder):
    """Decodes the same words whatever it hears."""

    def __init__(self, *words: int) -> None:
        super().__init__()
        self.words = words

    def decode(self, attended, prefix=(), draft=()):
        return [Subword(i, ((f" {WORDS[i]}", 1.0),)) for i in self.words][len(prefix) :]


def test_a_last_word_that_was_half_spelled_stays_and_one_that_was_not_spelled_goes():
    for last, characters, kept in ((6, "fra", " Capital france"), (2, "", " Capital")):
        transcriber, state, said = Transcriber(Said(4, last), SILENCE), Sentence(), []
        for heard in ["capital ", "", "", characters, *[""] * 16]:
            state, words, revised = transcriber.step(state, np.zeros((4, 1), np.float32), heard)
            del said[len(said) - revised :]
            said += [word.text for word in words]
        assert "".join(said) == kept


def test_last_words_that_only_come_back_go():
    echoing, state, said = Transcriber(Said(1, 2, 3, 2, 3), SILENCE), Sentence(), []
    for heard in ["what ", "", "is ", "", "the ", "", "t", *[""] * 16]:
        state, words, revised = echoing.step(state, np.zeros((4, 1), np.float32), heard)
        del said[len(said) - revised :]
        said += [word.text for word in words]
    assert "".join(said) == " What is the"


def test_a_word_that_is_being_answered_is_not_revised():
    transcriber, state, said = Transcriber(WrongAtFirst(), SILENCE), Sentence(), []
    for number in spoken(*QUESTION):
        features = np.full((4, 1), number, np.float32)
        characters = f"{WORDS[number]} " if number else ""
        state, words, revised = transcriber.step(state, features, characters)
        assert not revised
        said += [word.text for word in words]
        if " of" in said:
            state = transcriber.finalize(state)
    assert said[:4] == [" What", " is", " of", " capital"]


def test_a_hypothesis_is_the_draft_of_the_next_and_in_the_pause_so_are_committed_words():
    decoder = TickDecoder()
    run(Transcriber(decoder, SILENCE), spoken("what", "is", "the", "capital"))
    what, is_, the = map(WORDS.index, ["what", "is", "the"])
    assert decoder.drafts[:3] == [[], [what], [what, is_, the]]


def test_a_pause_is_no_comma_until_the_sentence_goes_on():
    class Marks(TickDecoder):
        """Puts a comma, or less likely a question mark, behind whatever came last."""

        def decode(self, attended, prefix=(), draft=()):
            said = super().decode(attended, (), draft)
            numbers = [subword.id for subword in said]
            comma = Subword(50, ((",", 0.6), ("?", 0.3)))
            at = [i for i, n in enumerate(numbers) if n in (3, 6)]
            marked = [p for i, q in enumerate(said) for p in ((q, comma) if i in at else (q,))]
            return marked[len(prefix) :]

    first, more = spoken("what", "is", "the", rest=5), spoken("capital", "of", "france")[8:]
    transcriber, state, said, shown = Transcriber(Marks(), SILENCE), Sentence(), [], []
    for number in [*first, *more]:
        features = np.full((4, 1), number, np.float32)
        characters = f"{WORDS[number]} " if number else ""
        state, words, revised = transcriber.step(state, features, characters)
        del said[len(said) - revised :]
        said += [word.text for word in words]
        shown.append("".join(said))
    assert " What is the?" in shown
    assert shown[-1] == " What is the, capital of france?"


AHEAD = 4


class WholeSentence:
    """A full-context encoder that tells the decoder which words the audio itself holds."""

    silence = SILENCE

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def features(self, ticks: Sequence[np.ndarray]) -> np.ndarray:
        self.lengths.append(len(ticks))
        numbers = [max(0, round(100 * (float(tick[0]) - 1))) for tick in ticks]
        return np.repeat([numbers], FEATURES_PER_TICK, axis=1).T


def listen(
    full_context: WholeSentence, ticks: list[int], mistaken: dict[int, int], noise: float = 0.0
) -> list[tuple[int, str]]:
    """Words with the tick whose audio brought them; the encoder is ``AHEAD`` ticks behind and takes
    the words in ``mistaken`` for others.
    """
    transcriber = Transcriber(TickDecoder(), SILENCE, full_context)
    state, said = Sentence(), []
    for tick, number in enumerate(ticks):
        state = transcriber.hear(
            state, np.full(1280, 1 + number / 100 if number else noise, np.float32)
        )
        behind = ticks[tick - AHEAD] if tick >= AHEAD else None
        if behind is None:
            continue
        features = np.full((4, 1), mistaken.get(behind, behind), np.float32)
        state, words, revised = transcriber.step(
            state, features, f"{WORDS[behind]} " if behind else ""
        )
        del said[len(said) - revised :]
        said += [(tick, word.text) for word in words]
    return said


def test_in_a_pause_full_context_corrects_mistaken_words():
    full_context = WholeSentence()
    ticks = spoken(*QUESTION, ticks_each=1)
    said = listen(full_context, ticks, mistaken={3: 5, 6: 4})
    assert "".join(text for _, text in said) == " What is the capital of france"
    assert len(full_context.lengths) == 1


def test_a_hush_brings_the_last_word_as_soon_as_its_characters_are_there():
    ticks = spoken(*QUESTION, ticks_each=1)
    last = max(tick for tick, number in enumerate(ticks) if number)
    said = listen(WholeSentence(), ticks, mistaken={})
    assert said[-1] == (last + AHEAD, " france")


def test_in_noise_which_is_never_quiet_a_pause_is_one_of_ctc_characters():
    ticks = spoken(*QUESTION, ticks_each=1)
    last = max(tick for tick, number in enumerate(ticks) if number)
    said = listen(WholeSentence(), ticks, mistaken={3: 5}, noise=0.4)
    assert "".join(text for _, text in said) == " What is the capital of france"
    assert said[-1][0] == last + AHEAD + CONFIG.pause


@given(st.lists(st.integers(0, 6), min_size=1, max_size=400), st.integers(1, 5))
def test_the_window_stays_bounded_and_time_never_runs_back(numbers: list[int], spread: int):
    ticks = [n if i % spread == 0 else 0 for i, n in enumerate(numbers)]
    decoder = TickDecoder()
    committed, windows = run(Transcriber(decoder, SILENCE), ticks)
    assert max(windows) <= 2 * CONFIG.window
    times = [(word.first_tick, word.last_tick) for _, word in committed]
    assert all(a[1] <= b[0] and b[0] <= b[1] for a, b in pairwise(times))
    assert all(word.last_tick <= tick for tick, word in committed)


@given(
    st.lists(st.sampled_from(["the", "capital", "of", "france"]), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from("thecapilofrn"), st.integers(0, 60)), max_size=40),
)
def test_word_times_lie_in_order_inside_the_sentence(words, spelled):
    times = word_times(words, sorted(spelled, key=lambda pair: pair[1]), 0, 60)
    assert len(times) == len(words)
    flat = [tick for pair in times for tick in pair]
    assert flat == sorted(flat)
    assert all(0 <= tick <= 60 for tick in flat)
