"""The floor: turns and replies tick by tick. A tick of speech is ``#``, a doubtful one ``~``."""

import pytest
from floor_ticks import OVER, heard, replying, run

from duplex_agent.duplex.floor import (
    Evidence,
    Floor,
    FloorConfig,
    Kind,
    ticks,
)


def test_durations_are_rounded_up_to_ticks() -> None:
    assert [ticks(ms) for ms in (0, 1, 79, 80, 81, 160, 560)] == [0, 1, 1, 1, 2, 2, 7]


def test_the_floor_has_the_names_that_clients_are_told() -> None:
    assert [floor.value for floor in Floor] == ["listening", "replying", "yielding"]


# user turns


def test_a_turn_starts_at_its_first_tick_and_ends_after_560_ms_of_silence() -> None:
    state, made = run("...##########.......")
    assert made == [
        (4, Kind.TURN_STARTED, "speech for 160 ms", 3),
        (19, Kind.TURN_ENDED, "silence for 560 ms", 12),
    ]
    assert state.floor is Floor.REPLYING


def test_a_turn_may_start_with_the_first_sound_of_the_conversation() -> None:
    _, made = run("###")
    assert made == [(1, Kind.TURN_STARTED, "speech for 160 ms", 0)]


def test_one_loud_tick_starts_nothing() -> None:
    assert run("#..." * 20)[1] == []


def test_a_pause_shorter_than_the_limit_stays_inside_the_turn() -> None:
    _, made = run("#####......#####.......")
    assert [row[:2] for row in made] == [(1, Kind.TURN_STARTED), (22, Kind.TURN_ENDED)]


def test_a_noise_of_160_ms_is_no_turn() -> None:
    state, made = run("..##.......")
    assert made[1:] == [(10, Kind.TURN_DROPPED, "only 160 ms of speech", 3)]
    assert (state.floor, state.turn_start) == (Floor.LISTENING, None)


def test_speech_counts_up_to_a_turn_across_pauses() -> None:
    assert run("##..#.......")[1][1] == (11, Kind.TURN_ENDED, "silence for 560 ms", 4)


def test_each_turn_is_measured_afresh() -> None:
    state, _ = run("##.......")  # dropped
    _, made = run("##.......", state)
    assert made == [
        (10, Kind.TURN_STARTED, "speech for 160 ms", 9),
        (17, Kind.TURN_DROPPED, "only 160 ms of speech", 10),
    ]


def test_a_turn_without_a_pause_ends_at_the_limit() -> None:
    state, made = run("#" * 375)
    assert made[1:] == [(374, Kind.TURN_ENDED, "the turn reached 30 s", 374)]
    assert state.floor is Floor.REPLYING


def test_the_limit_is_counted_from_the_first_tick_of_the_turn() -> None:
    config = FloorConfig(max_turn_ms=1_999)
    assert run("..." + "#" * 24, config=config)[1][1:] == []
    _, made = run("..." + "#" * 25, config=config)
    assert made[1:] == [(27, Kind.TURN_ENDED, "the turn reached 1 s", 27)]


def test_what_is_too_short_at_the_limit_is_dropped_and_what_goes_on_is_another_turn() -> None:
    config = FloorConfig(min_turn_ms=320, barge_in_ms=320, max_turn_ms=400)
    _, made = run("##..####", config=config)
    assert made == [
        (1, Kind.TURN_STARTED, "speech for 160 ms", 0),
        (4, Kind.TURN_DROPPED, "only 240 ms of speech", 4),
        (6, Kind.TURN_STARTED, "speech for 160 ms", 5),
    ]


def test_a_doubtful_tick_keeps_speech_going_but_does_not_start_it() -> None:
    assert run("~" * 50)[1] == []
    assert run("#~")[1] == [(1, Kind.TURN_STARTED, "speech for 160 ms", 0)]
    assert [row[:2] for row in run("###" + "~" * 50)[1]] == [(1, Kind.TURN_STARTED)]
    assert run("##.~")[0].silence_run == 2  # once silent, it takes certain speech again


@pytest.mark.parametrize(
    ("levels", "speaks"),
    [
        ([0.6], True),  # the first threshold itself is speech
        ([0.59], False),
        ([0.6, 0.3], True),  # and the second keeps it going
        ([0.6, 0.29], False),
        ([0.6, 0.0, 0.59], False),
    ],
)
def test_speech_begins_at_one_threshold_and_ends_below_the_other(
    levels: list[float], speaks: bool
) -> None:
    config = FloorConfig(speech_on=0.6, speech_off=0.3)
    state, _ = run([Evidence(level) for level in levels], config=config)
    assert state.speaking == speaks


def test_the_thresholds_unless_said_otherwise() -> None:
    assert [run([Evidence(level)])[0].speaking for level in (0.5, 0.49)] == [True, False]
    assert [run([*heard("#"), Evidence(level)])[0].speaking for level in (0.35, 0.34)] == [
        True,
        False,
    ]


# replies


@pytest.mark.parametrize("sound", ["#", "##"])
def test_a_short_sound_does_not_interrupt(sound: str) -> None:
    state, made = run(sound + ".....", replying())
    assert made == []
    assert state.floor is Floor.REPLYING


def test_240_ms_of_speech_interrupts_and_opens_the_turn_where_it_began() -> None:
    state, made = run("....###", replying())
    reason = "user spoke for 240 ms over the reply"
    assert made == [(23, Kind.BARGED_IN, reason, 21), (23, Kind.TURN_STARTED, reason, 21)]
    assert state.floor is Floor.YIELDING
    state, made = run(heard("#", voice_over="interrupted"), state)
    assert made == [(24, Kind.REPLY_ENDED, "interrupted", 24)]
    assert state.floor is Floor.LISTENING
    _, made = run("##.......", state)
    assert made == [(33, Kind.TURN_ENDED, "silence for 560 ms", 26)]


def test_a_turn_is_not_over_before_the_voice_that_it_interrupted() -> None:
    state, made = run("###" + "." * 12, replying())
    assert len(made) == 2
    assert state.floor is Floor.YIELDING
    _, made = run([OVER], state)
    assert made == [
        (32, Kind.REPLY_ENDED, "said everything", 32),
        (32, Kind.TURN_ENDED, "silence for 1040 ms", 19),
    ]


def test_the_words_of_an_interruption_are_a_turn_of_their_own() -> None:
    state, _ = run("###", replying())
    _, made = run(heard(".......", voice_over="said everything"), state)
    assert made[1] == (26, Kind.TURN_ENDED, "silence for 560 ms", 19)


def test_a_reply_that_ends_is_followed_by_silence_or_a_new_turn() -> None:
    state, made = run([OVER], replying())
    assert made == [(17, Kind.REPLY_ENDED, "said everything", 17)]
    assert state.floor is Floor.LISTENING
    assert run("..........", state)[1] == []
    assert run("###.......", state)[1] == [
        (19, Kind.TURN_STARTED, "speech for 160 ms", 18),
        (27, Kind.TURN_ENDED, "silence for 560 ms", 20),
    ]


def test_speech_that_begins_as_the_reply_ends_is_a_turn_and_no_interruption() -> None:
    _, made = run(heard("###", voice_over="said everything"), replying())
    assert [row[:2] for row in made] == [(19, Kind.REPLY_ENDED), (19, Kind.TURN_STARTED)]
    assert made[1] == (19, Kind.TURN_STARTED, "speech for 240 ms", 17)


def test_a_voice_that_is_over_says_nothing_to_a_floor_that_listens() -> None:
    assert run([OVER] * 3)[1] == []
    assert run(heard("##", voice_over="said everything"))[1] == [
        (1, Kind.TURN_STARTED, "speech for 160 ms", 0)
    ]


def test_endless_speech_is_answered_once_and_does_not_interrupt_by_going_on() -> None:
    config = FloorConfig(max_turn_ms=800)
    state, made = run("#" * 40, config=config)
    assert made[1:] == [(9, Kind.TURN_ENDED, "the turn reached 0 s", 9)]
    state, made = run(heard("##", voice_over="said everything") + heard("##"), state, config)
    assert made == [
        (41, Kind.REPLY_ENDED, "said everything", 41),
        (43, Kind.TURN_STARTED, "speech for 160 ms", 42),  # not before the reply
    ]


def test_who_fell_silent_in_a_forced_reply_may_interrupt_it() -> None:
    config = FloorConfig(max_turn_ms=800)
    state, _ = run("#" * 20, config=config)
    _, made = run(".###", state, config)
    reason = "user spoke for 240 ms over the reply"
    assert made == [(23, Kind.BARGED_IN, reason, 21), (23, Kind.TURN_STARTED, reason, 21)]


def test_what_was_said_before_a_forced_reply_is_not_said_over_it() -> None:
    config = FloorConfig(max_turn_ms=800)
    state, _ = run("#" * 10, config=config)
    assert state.speech_run == 0


# settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"speech_off": 0.0}, "thresholds"),
        ({"speech_off": 0.51}, "thresholds"),
        ({"speech_on": 1.01}, "thresholds"),
        ({"start_ms": 0}, "durations"),
        ({"end_silence_ms": 0}, "durations"),
        ({"barge_in_ms": 0, "min_turn_ms": 0}, "durations"),
        ({"min_turn_ms": 0}, "durations"),
        ({"max_turn_ms": 159}, "longest turn"),
        ({"min_turn_ms": 241}, "long enough to be a turn"),
    ],
)
def test_contradictory_settings_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FloorConfig(**wrong)  # type: ignore[arg-type]


def test_the_most_extreme_settings_are_accepted() -> None:
    FloorConfig(speech_on=1.0, speech_off=1.0)
    FloorConfig(start_ms=1, end_silence_ms=1, barge_in_ms=1, min_turn_ms=1, max_turn_ms=1)
