"""The text that a compression is calibrated on: the reader's own, or the project's default corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Union

from lib.delta_come.errors import DeltaError
from lib.models import LoadedModel

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from lib.delta_come.checkpoint import Source

Calibration = Union[str, Path, "torch.Tensor", None]

_SUFFIXES = (".txt", ".md", ".rst")


def calibration_tokens(text: Calibration, base: "Source", tokens: int, window: int) -> "torch.Tensor":
    """Return the token blocks to calibrate on, [sequences, window].

    Args:
        text: A file, a folder, None for the default corpus, or token blocks, which are returned as they are.
        base: The base model; its tokenizer is used.
        tokens: Number of tokens; what does not fill a window is left out.
        window: Tokens in a sequence.

    Raises:
        DeltaError: There is no such text, or it is shorter than asked for, or the base comes without a tokenizer.
    """
    import torch

    from lib.delta_come.calibration import calibration_blocks

    if isinstance(text, torch.Tensor):
        return text
    if not isinstance(text, str | Path | None):
        raise DeltaError(
            "calibration is a file or folder of text, None for the default corpus, or a tensor of token blocks "
            f"[sequences, T]; got a {type(text).__name__}"
        )
    if window < 2:
        raise DeltaError(
            f"a window of calibration text has 2 tokens or more, got {window}: give a larger `window` (--window)"
        )
    if tokens < window:
        raise DeltaError(
            f"calibration needs at least one window: got {tokens} tokens and windows of {window}; give more "
            "`tokens` (--tokens) or a smaller `window` (--window)"
        )
    tokenizer = _tokenizer(base)
    return calibration_blocks(_texts(text), tokenizer, window, tokens // window)


def _texts(text: "str | Path | None") -> "Dataset":
    from datasets import Dataset

    from lib import corpora

    if text is None:
        try:
            return corpora.load().train
        except corpora.CorpusError as error:
            raise DeltaError(f"the default calibration text is not there ({error}); give a text of your own") from error
    path = Path(text).expanduser()
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())
        if not files:
            raise DeltaError(f"the folder {path} holds no calibration text: expected {', '.join(_SUFFIXES)} files")
    elif path.is_file():
        files = [path]
    else:
        raise DeltaError(f"there is no file or folder {path} to take calibration text from")
    try:
        return Dataset.from_dict({"text": [one.read_text(encoding="utf-8") for one in files]})
    except UnicodeDecodeError as error:
        raise DeltaError(f"the calibration text in {path} is not UTF-8 ({error}); convert it first") from error


def _tokenizer(base: "Source") -> "PreTrainedTokenizerBase":
    from lib.corpora import load_tokenizer
    from lib.models import checkpoint_folder

    if isinstance(base, LoadedModel):
        return base.tokenizer
    if isinstance(base, str | Path):
        folder = checkpoint_folder(base)
        try:
            return load_tokenizer(folder)
        except (OSError, ValueError) as error:
            raise DeltaError(
                f"{folder} has no tokenizer that can be read ({str(error).splitlines()[0]}), and text is calibrated on "
                "as tokens: put the base's tokenizer files there, or take the quantiser 'rtn'"
            ) from error
    raise DeltaError(
        f"a {type(base).__name__} comes without a tokenizer: give token blocks (`calibration_blocks`), or a folder or "
        "LoadedModel as the base"
    )
