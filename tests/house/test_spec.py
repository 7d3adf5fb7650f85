"""The record of what an agent is made of: from flags to JSON, and what it refuses."""

import pytest
import typer
from typer.testing import CliRunner

from duplex_agent.errors import SpecError
from duplex_agent.spec import AgentSpec
from duplex_agent.spec_options import with_spec


def test_json_gives_back_the_same_spec():
    spec = AgentSpec.of(look_ahead=80, floor={"barge_in_ms": 400}, llm="http://a/v1", llm_model="m")
    assert AgentSpec.from_json(spec.model_dump_json()) == spec
    assert (spec.look_ahead_ticks, spec.floor.barge_in_ms) == (1, 400)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"look_ahed": 80}, "look_ahed: no such setting"),
        ({"look_ahead": 100}, "look_ahead: the ear was trained for 80, 160 and 320 ms"),
        ({"look_ahead": "soon"}, "look_ahead: "),
        ({"tokens": "letters"}, "tokens: "),
        ({"voice_speed": 2}, "voice_speed: "),
        ({"floor": {"patience_ms": 1}}, r"floor\.patience_ms: "),
        ({"floor": {"speech_on": 0.1}}, "floor: thresholds must be"),
        ({"floor": "barge_in_ms"}, "floor: give settings as name=value"),
        ({"llm_model": "m"}, "llm_model: --llm-model needs --llm"),
        ({"llm": "http://a/v1"}, "llm: name the model"),
        (
            {"llm": "http://a/v1", "llm_model": "m", "tokens": "6.25hz"},
            r"tokens: a chat endpoint reads words: no 6\.25hz",
        ),
    ],
)
def test_a_bad_setting_is_one_line_that_names_the_field(settings, message):
    with pytest.raises(SpecError, match=f"^{message}") as caught:
        AgentSpec.of(**settings)
    assert "\n" not in str(caught.value)


def test_every_field_is_an_option_and_a_variable_of_the_environment():
    made = []
    app = typer.Typer()

    @app.command()
    @with_spec
    def run(spec: AgentSpec) -> None:
        made.append(spec)

    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).stdout
    for name in AgentSpec.model_fields:
        assert f"--{name.replace('_', '-')}" in shown
    arguments = ["--look-ahead", "160", "--floor", "barge_in_ms=400,speech_on=0.6"]
    result = CliRunner().invoke(app, arguments, env={"DUPLEX_VOICE_SPEED": "0.9"})
    assert result.exit_code == 0, result.output
    assert made == [
        AgentSpec.of(look_ahead=160, floor={"barge_in_ms": 400, "speech_on": 0.6}, voice_speed=0.9)
    ]
