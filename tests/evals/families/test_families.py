from collections import Counter
from pathlib import Path

import pytest
from duplex_evals.conversation.clips import load_clip
from duplex_evals.conversation.scenario import Scenario, read_scenarios, write_scenarios
from duplex_evals.errors import ScenarioError
from duplex_evals.families.building import VOICES
from duplex_evals.families.suites import FAMILIES, STANDARD_OF_LONG, suite

from duplex_agent.train.data.text import held_out, normalise


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.system
def test_a_family_has_forty_cases_half_of_them_human(name: str) -> None:
    cases = FAMILIES[name]()
    assert len(cases) >= 40
    assert {case.family for case in cases} == {name}
    voices = [case.voice for case in cases]
    assert voices == ["synthetic", "human"] * (len(cases) // 2)
    assert len({case.model_dump_json(exclude={"id", "seed"}) for case in cases}) > 30


@pytest.mark.system
def test_every_case_has_its_own_id_and_the_same_one_in_every_run() -> None:
    full = suite("duplex-full")
    assert len({case.id for case in full}) == len(full)
    assert full == suite("duplex-full")


def clips_of(scenario: Scenario) -> list:
    return [part.clip for item in scenario.items for part in item.parts]


@pytest.mark.system
def test_synthetic_cases_use_every_held_out_voice_and_no_other() -> None:
    for name, made in FAMILIES.items():
        used = {
            clip.voice for case in made() if case.voice == "synthetic" for clip in clips_of(case)
        }
        assert used - {""} <= set(VOICES)
        assert name == "silence" or used >= set(VOICES)


@pytest.mark.system
def test_human_cases_are_recordings_that_are_installed_and_not_empty() -> None:
    for case in suite("duplex-full"):
        if case.voice == "human":
            for clip in clips_of(case):
                assert not clip.voice
                assert 0.08 < len(load_clip(clip)) / 16_000 < 26


@pytest.mark.system
def test_no_sentence_of_the_suite_may_be_trained_on() -> None:
    forbidden = held_out()
    for case in suite("duplex-full"):
        for item in case.items if case.voice == "synthetic" else ():
            if item.kind in ("backchannel", "vocal_tic", "noise"):
                continue  # "yeah" and "um" are nobody's property
            whole = normalise(item.text) in forbidden
            assert whole or all(normalise(p.clip.text) in forbidden for p in item.parts), item.text


@pytest.mark.system
def test_a_limit_takes_the_first_of_each_family_with_both_voices() -> None:
    few = suite("duplex", limit=4)
    assert Counter(case.family for case in few) == dict.fromkeys(FAMILIES, 4)
    assert Counter(case.voice for case in few) == {"synthetic": 24, "human": 24}


@pytest.mark.system
def test_the_standard_suite_has_enough_cases_of_each_family_for_a_rate() -> None:
    """Rates of fewer than ten events are hidden."""
    count = Counter(case.family for case in suite("duplex"))
    assert set(count) == set(FAMILIES)
    assert min(count.values()) >= 12
    assert all(count[name] == 20 for name in set(FAMILIES) - set(STANDARD_OF_LONG))


def test_an_unknown_suite_names_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="duplex-full"):
        suite("triplex")


@pytest.mark.system
def test_cases_of_every_family_survive_a_file(tmp_path: Path) -> None:
    some = suite("duplex-full", limit=6)
    write_scenarios(tmp_path / "some.yaml", some)
    assert read_scenarios(tmp_path / "some.yaml") == some
