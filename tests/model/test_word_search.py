"""The word search: letters with doubts in, words out, each once and soon."""

import numpy as np
import pytest

from duplex_agent.model.ear import BLANK, CHARACTERS, FEATURES_PER_TICK
from duplex_agent.model.lexicon import SENTENCE_START, Lexicon
from duplex_agent.model.word_search import SearchConfig, SearchState, WordSearch

SENTENCES = ["the cat sat", "the cat ran", "the hat", "a cat sat", "two cats"] * 3


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.from_sentences(SENTENCES, ["rare"], at_least=2)


@pytest.fixture(scope="module")
def search(lexicon: Lexicon) -> WordSearch:
    return WordSearch(lexicon)


def spell(text: str, sure: float = 0.9, doubts: dict[int, str] | None = None) -> np.ndarray:
    """A letter, then two blanks, whole ticks, silence after; ``doubts``: place -> other letter."""
    frames = []
    for place, letter in enumerate(text):
        row = np.full(len(CHARACTERS), (1 - sure) / len(CHARACTERS))
        row[CHARACTERS.index(letter)] += sure
        other = (doubts or {}).get(place)
        if other:
            row[CHARACTERS.index(letter)] *= 0.4
            row[CHARACTERS.index(other)] += 0.5
        blank = np.full(len(CHARACTERS), 1e-3)
        blank[BLANK] = 1.0
        frames += [row, blank, blank]
    silence = np.full(len(CHARACTERS), 1e-4)
    silence[BLANK] = 1.0
    frames += [silence] * (FEATURES_PER_TICK * 12 - len(frames) % FEATURES_PER_TICK)
    rows = np.array(frames)
    return np.log(rows / rows.sum(1, keepdims=True)).astype(np.float32)


def run(search: WordSearch, spelled: np.ndarray, state: SearchState | None = None) -> list:
    """(tick, word) of everything given out."""
    state = state or search.new_state()
    return [
        (tick, search.lexicon.words[word.guesses[0][0]])
        for tick, frames in enumerate(spelled.reshape(-1, FEATURES_PER_TICK, len(CHARACTERS)))
        for word in search.step(state, frames)
    ]


def words(said: list) -> str:
    return " ".join(word for _, word in said)


def test_clear_letters_come_out_as_their_words_once(search):
    assert words(run(search, spell("the cat sat "))) == "the cat sat"


def test_a_misspelled_word_is_the_likely_one(search):
    # By the letters alone it is "cab", which is no word, or "thd".
    assert words(run(search, spell("thd cat ", doubts={2: "e"}))) == "the cat"


def test_the_word_before_decides_between_like_sounds(search):
    doubt = {4: "h"}
    assert words(run(search, spell("the cat ", doubts=doubt))) == "the cat"
    assert words(run(search, spell("the hat ", doubts={4: "c"}, sure=0.9))) in (
        "the cat",
        "the hat",
    )
    assert words(run(search, spell("two cats ", doubts={7: " "}))) == "two cats"


def test_words_come_out_while_speech_goes_on(search):
    spelled = spell("the cat sat the cat ran the cat sat ")
    said = run(search, spelled)
    speech_ticks = 36 * 3 // FEATURES_PER_TICK
    assert words(said) == "the cat sat the cat ran the cat sat"
    # The first word ends at frame 11, in tick 2.
    assert said[0][0] <= 2 + search.config.firm_ticks + 2
    assert sum(tick < speech_ticks for tick, _ in said) >= 6


def test_a_pause_ends_a_word_without_its_space(search):
    said = run(search, spell("the cat"))
    assert words(said) == "the cat"
    last_letter_tick = 6 * 3 // FEATURES_PER_TICK
    assert said[-1][0] <= last_letter_tick + search.config.pause_ticks


def test_silence_and_letters_that_are_no_word_say_nothing(search):
    assert run(search, spell("")) == []
    assert run(search, spell("zzqx", sure=0.9999)) == []


def test_rivals_keep_their_shares(search):
    state = search.new_state()
    spelled = spell("the hat ", doubts={4: "c"})
    found = [
        word
        for frames in spelled.reshape(-1, FEATURES_PER_TICK, len(CHARACTERS))
        for word in search.step(state, frames)
    ]
    guesses = found[1].guesses
    assert {search.lexicon.words[index] for index, _ in guesses} >= {"cat", "hat"}
    assert sum(share for _, share in guesses) == pytest.approx(1.0)
    assert guesses[0][1] == max(share for _, share in guesses)


def test_a_clone_of_the_search_goes_its_own_way(search):
    spelled = spell("the cat sat ").reshape(-1, FEATURES_PER_TICK, len(CHARACTERS))
    state = search.new_state()
    for frames in spelled[:4]:
        search.step(state, frames)
    copied = state.clone()
    run(search, spell("two cats "), copied)
    rest = np.concatenate(list(spelled[4:]))
    assert words(run(search, rest, state)).endswith("cat sat")


def test_an_hour_of_talk_loses_no_precision(lexicon):
    search = WordSearch(lexicon, SearchConfig(beam=6))
    state = search.new_state()
    spelled = spell("the cat sat ")
    for _ in range(60):
        assert words(run(search, spelled, state)) == "the cat sat"
    assert state.before == SENTENCE_START


def test_a_lexicon_survives_its_tensors(lexicon):
    again = Lexicon.from_tensors(lexicon.tensors())
    assert again.words == lexicon.words
    assert again.pairs == lexicon.pairs
    the, cat, rare = (lexicon.words.index(word) for word in ("the", "cat", "rare"))
    assert again.log_probability(cat, the) == lexicon.log_probability(cat, the)
    assert again.log_probability(cat, the) > again.log_probability(rare, the)
