"""A network's weights and vocabulary by path: a GGUF file, or a folder of safetensors and config.json."""

from pathlib import Path

from hwbase import InputError
from models.inference.checkpoints import is_checkpoint, read_checkpoint
from models.inference.gguf_files import read_gguf_model
from models.inference.weights import DEFAULT_MODEL, Vocabulary, Weights, find_model

#: Longest path that is looked for.
_LONGEST = 1000


def weights_path(model: str, path: str | Path | None = None) -> str | Path | None:
    """Return where a model's weights are: `path`, or `model` itself where it is a path; None for the installed package.

    Raises `InputError` for a name without weights, and for two paths.
    """
    name = str(model).strip()
    if name.lower() == DEFAULT_MODEL:
        return path
    if path is None and name and "\0" not in name and len(name) < _LONGEST and Path(name).exists():
        return name
    raise InputError(
        f"model = {name[:200]!r}: weights are known for {DEFAULT_MODEL!r} only; expected it, a GGUF file or a folder "
        "of safetensors with a config.json"
    )


def read_model(path: str | Path | None = None) -> tuple[Weights, Vocabulary]:
    """Return the weights (float32) and the vocabulary of a network, by default SmolLM2-135M-Instruct.

    Raises `InputError` for missing packages (with what to install), a path that is neither a GGUF file nor a folder
    with a config.json, a file that is missing, truncated or corrupt, a family that is not known, tensors that are
    missing, misshapen or not finite, a vocabulary of the wrong size, and for tensors and keys of the network that are
    not used.
    """
    if path is None:
        return read_gguf_model(find_model())
    if is_checkpoint(path):
        return read_checkpoint(Path(path))
    return read_gguf_model(_existing(path))


def _existing(path: str | Path) -> Path:
    file = Path(path)
    try:
        if "\0" not in str(path) and file.is_file():
            return file
    except OSError:  # a name that no file system takes
        pass
    raise InputError(
        f"no such file: {str(path)[:200]!r}, expected a GGUF model, or a folder of safetensors with a config.json"
    )
