"""Looks an SDP offer over before anything is built for it. Pure."""

from typing import Final

from aiortc import sdp

from duplex_agent.gateway.api_error import ApiError

MAX_OFFER_BYTES: Final = 64 * 1024
MAX_CANDIDATES: Final = 64
MAX_SECTIONS: Final = 3


def check_offer(text: str) -> str:
    """The offer without the candidates that only multicast DNS could resolve.

    A browser that hides its addresses sends ``.local`` names. Resolving them takes seconds and
    fails in containers; the browser's own connectivity checks reach us anyway.

    Raises ApiError 400 unless it has one Opus audio section, at most one for data, and no video.
    """
    if not text.startswith("v=0"):
        raise ApiError(
            400, "invalid_offer", "the body is not an SDP offer (it must begin with v=0)"
        )
    lines = text.splitlines()
    if sum(line.startswith("m=") for line in lines) > MAX_SECTIONS:
        raise ApiError(400, "invalid_offer", f"an offer has at most {MAX_SECTIONS} media sections")
    candidates = [line for line in lines if line.startswith("a=candidate:")]
    if len(candidates) > MAX_CANDIDATES:
        raise ApiError(400, "invalid_offer", f"an offer has at most {MAX_CANDIDATES} candidates")
    hidden = {line for line in candidates if _is_hidden(line)}
    text = "\r\n".join(line for line in lines if line not in hidden) + "\r\n"
    try:
        description = sdp.SessionDescription.parse(text)
    except Exception as error:  # the parser raises whatever the broken line makes it raise
        raise ApiError(400, "invalid_offer", "the body is not a valid SDP offer") from error
    mids = [media.rtp.muxId for media in description.media]
    bundled = {mid for group in description.group for mid in group.items}
    if len(set(mids)) < len(mids) or not bundled <= set(mids):
        raise ApiError(
            400, "invalid_offer", "the offer's sections and groups do not name each other"
        )
    kinds = [media.kind for media in description.media]
    if "video" in kinds:
        raise ApiError(400, "video_not_supported", "the offer has video; only audio is spoken here")
    if kinds.count("audio") != 1 or kinds.count("application") > 1:
        raise ApiError(400, "invalid_offer", "the offer needs exactly one audio section")
    audio = description.media[kinds.index("audio")]
    if not any(codec.mimeType.lower() == "audio/opus" for codec in audio.rtp.codecs):
        raise ApiError(400, "opus_required", "the offer does not list Opus, the only codec here")
    if audio.direction not in ("sendrecv", "sendonly"):
        raise ApiError(400, "no_microphone", "the offer sends no audio")
    if not (audio.ice and audio.ice.usernameFragment and audio.ice.password and audio.dtls):
        raise ApiError(400, "invalid_offer", "the offer lacks ICE credentials or a fingerprint")
    return text


def _is_hidden(candidate: str) -> bool:
    fields = candidate.split()
    return len(fields) > 4 and fields[4].endswith(".local")
