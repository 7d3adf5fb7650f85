"""Where a run's results come from: code, weights, detectors, recogniser, machine, seed."""

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil

from duplex_agent.assets.table import ASSETS
from duplex_agent.spec import AgentSpec
from duplex_evals.audio.segments import SETTINGS
from duplex_evals.metrics.summary import VERSION as METRICS_VERSION

PACKAGES = (
    "duplex-agent",
    "faster-whisper",
    "jiwer",
    "numpy",
    "onnxruntime",
    "piper-tts",
    "silero-vad",
    "speechmos",
    "torch",
    "whisper-normalizer",
)


def run_metadata(suite: str, agent: str, seed: int, limit: int | None, jobs: int) -> dict[str, Any]:
    """Everything that a report states about its run; JSON values only."""
    return {
        "suite": suite,
        "agent": agent,
        "seed": seed,
        "limit": limit,
        "jobs": jobs,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "weights_sha256": weights_hash(),
        "spec": AgentSpec().model_dump(mode="json") if agent == "local" else None,
        "segments": SETTINGS,
        "metrics_version": METRICS_VERSION,
        "asr": asr_version(),
        "normaliser": f"whisper-normalizer {_version('whisper-normalizer')} (English)",
        "machine": machine(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


@cache
def commit() -> str:
    """The checkout's commit, "+" behind it when files differ; "unknown" without a checkout."""
    root = Path(__file__).resolve().parent
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + ("+" if changed else "")


@cache
def weights_hash() -> str:
    """SHA-256 over the shipped weight files in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(files("duplex_agent").joinpath("weights").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".safetensors"):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def asr_version() -> str:
    """The recogniser that heard the words, by its bytes."""
    asset = ASSETS["whisper-tiny.en"]
    return f"whisper tiny.en {asset.sha256[:12]}, faster-whisper {_version('faster-whisper')}"


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, memory, system."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "load_average": round(os.getloadavg()[0], 1),  # others at work make compute look slow
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
