"""What stands in the context after any conversation is what was heard and told."""

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_parts import SYSTEM, Conversation, agent, laid_out, user
from scripted_user import say

from duplex_agent.errors import ContextFull

SPANS = st.lists(
    st.tuples(st.sampled_from(["", "tell", "why", "quiet"]), st.integers(1, 14)), max_size=30
)


@settings(deadline=None, max_examples=40)
@given(SPANS, st.sampled_from([160, 400]), st.sampled_from([0, 200]))
def test_any_user_leaves_a_context_that_equals_what_was_heard(
    spans: list[tuple[str, int]], max_length: int, delay_ms: int
) -> None:
    talk = Conversation(
        max_length=max_length, playout_delay_ms=delay_ms, turn_positions=70, reply_positions=40
    )
    for word, count in spans:
        talk.hear(say(rest=count) if word == "quiet" else say(*[word] * count))
    talk.hear(say(rest=150))
    started = [e["reply_id"] for e in talk.of_type("reply.started")]
    done = [e["reply_id"] for e in talk.of_type("reply.done")]
    assert started == done  # every reply ends exactly once
    flushed = [e["reply_id"] for e in talk.of_type("playback.flush")]
    assert flushed == [
        e["reply_id"] for e in talk.of_type("reply.done") if e["status"] == "interrupted"
    ]
    turns = [user(e.user) + agent(e.agent) for e in talk.session.pairs]
    assert talk.context() == SYSTEM + "".join(turns)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["", "tell", "why", "quiet"]), st.integers(1, 14)),
        st.tuples(st.sampled_from(["user", "assistant", "system"]), st.integers(1, 60)),
    ),
    max_size=24,
)


@settings(deadline=None, max_examples=40)
@given(STEPS, st.integers(1, 9))
def test_any_mixture_of_speech_and_text_leaves_a_context_that_equals_what_is_remembered(
    steps: list[tuple[str, int]], read_per_tick: int
) -> None:
    talk = Conversation(max_length=200, turn_positions=80, read_per_tick=read_per_tick)
    system = SYSTEM
    for kind, count in steps:
        words = " ".join(["more"] * count)
        try:
            if kind == "system":
                talk.session.set_instructions(words)
                system = f"<|im_start|>system\n{words}<|im_end|>\n"
            elif kind in ("user", "assistant"):
                talk.session.add_text_turn(kind, words)
            else:
                talk.hear(say(rest=count) if kind == "quiet" else say(*[kind] * count))
        except ContextFull:
            pass
    talk.hear(say(rest=400))
    assert talk.context() == system + laid_out(talk)
