"""The trained parts of an agent, loaded as its spec says."""

from dataclasses import replace
from functools import partial

import numpy as np

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.session import OpenLlm
from duplex_agent.ear.hearing import Ear
from duplex_agent.llm.remote.endpoint import api_key
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.spec import AgentSpec
from duplex_agent.voice.protocol import Voice

WARM_UP_TICKS = 6


def load(spec: AgentSpec | None = None) -> FlowOmni:
    """The trained parts with the thinker, from the package and the asset cache.

    Raises AssetError, CheckpointError or ThinkerError when a part cannot be had.
    """
    from duplex_agent.llm.load import DEFAULT_MODEL, load_thinker
    from duplex_agent.llm.lora import DEFAULT_FILE

    spec = spec or AgentSpec()
    ear, voice = _ear_and_voice(spec)
    lora = DEFAULT_FILE if spec.thinker == DEFAULT_MODEL else None
    model = FlowOmni(ear, load_thinker(spec.thinker, spec.backend, lora=lora), voice)
    warm_up(model)
    return model


def load_ear_and_voice(spec: AgentSpec | None = None) -> EarAndVoice:
    """The trained parts without the language model, of which the ear needs the vocabulary.

    Raises AssetError or CheckpointError when a part cannot be had.
    """
    model = EarAndVoice(*_ear_and_voice(spec or AgentSpec()))
    warm_up(model)
    return model


def _ear_and_voice(spec: AgentSpec) -> tuple[Ear, Voice]:
    from duplex_agent.ear.load import load_ear
    from duplex_agent.voice.voice import VoiceSettings, load_voice

    ear = load_ear(spec.look_ahead_ticks, spec.tokens, spec.thinker)
    return ear, load_voice(VoiceSettings(speed=spec.voice_speed))


def warm_up(model: FlowOmni | EarAndVoice) -> None:
    """Run every part for a moment: the first pass of a process is several ticks slow."""
    ear_state = model.ear.new_state()
    stream = model.voice.start()
    stream.write("Good morning to you.")
    stream.finish()
    for _ in range(WARM_UP_TICKS):
        model.ear.step(ear_state, np.zeros(USER_TICK_SAMPLES, dtype=np.float32))
        stream.tick()
    if isinstance(model, FlowOmni):
        state = model.thinker.new_state()
        for _ in range(WARM_UP_TICKS):
            model.thinker.append(state, model.thinker.embed([1, 2]))


def load_parts(spec: AgentSpec) -> tuple[FlowOmni | EarAndVoice, OpenLlm | None]:
    """What a session is made of: the network, and the LLM where that is not the thinker.

    The key of the endpoint is read from the environment. Raises LlmError for a key that cannot be
    one, and as ``load`` when a part of the network is missing.
    """
    endpoint = spec.endpoint
    if endpoint is None:
        return load(spec), None
    from duplex_agent.llm.remote.client import ChatClient
    from duplex_agent.llm.remote.remote_llm import RemoteLlm

    open_llm = partial(RemoteLlm, ChatClient(endpoint, api_key()))
    return load_ear_and_voice(spec), open_llm


def session_config(spec: AgentSpec) -> SessionConfig:
    """The settings of every conversation with the agent."""
    llm = LlmSettings()
    if spec.instructions:
        llm = replace(llm, system_prompt=spec.instructions)
    return SessionConfig(floor=spec.floor, llm=llm)
