"""The commands of `python -m lib.delta_come`; errors are raised, and shown by `__main__`."""

import argparse
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from lib.delta_come.compression import compress
from lib.delta_come.errors import DeltaError
from lib.delta_come.files import load
from lib.delta_come.merging import apply
from lib.delta_come.options import CompressOptions
from lib.delta_come.summary import summarise

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# A tokenizer is read from one of these.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def run_compress(given: argparse.Namespace) -> None:
    """Compress, with a progress bar, and say what came out."""
    start = time.monotonic()
    artifact = compress(
        given.base,
        given.finetuned,
        given.out,
        ratio=given.ratio,
        plan=given.plan,
        calibration=given.calibration,
        tokens=given.tokens,
        window=given.window,
        options=CompressOptions(
            quantiser=given.quantiser,
            group_size=given.group_size,
            symmetric=given.symmetric,
            clip=given.clip,
            shared_embeddings=given.shared_embeddings,
        ),
    )
    print(*summarise(artifact).lines(), sep="\n")
    print(f"wrote {artifact.path} in {(time.monotonic() - start) / 60:.1f} minutes")


def run_info(given: argparse.Namespace) -> None:
    """Show what an artifact holds; only its header is read."""
    artifact = load(given.artifact)
    header = artifact.header
    print(f"{artifact.path}: {header.config.get('model_type', 'model')}, written by {header.tool}")
    print(f"base {header.base_hash}, fine-tune {header.finetuned_hash}")
    print(*summarise(artifact).lines(), sep="\n")
    print("options " + ", ".join(f"{name} {value}" for name, value in header.options.items()))


def run_apply(given: argparse.Namespace) -> None:
    """Write the merged model, with the base's tokenizer where it has one, whole or not at all."""
    out = Path(given.out).expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DeltaError(f"{out} is there already; give a folder that is to be made")
    if not out.parent.is_dir():
        raise DeltaError(f"there is no folder {out.parent} to make {out.name} in; make it first")
    artifact = load(given.artifact)
    base, tokenizer = _load_base(given.base)
    model = apply(base, artifact, in_place=True)
    making = out.with_name(f".{out.name}.making-{uuid.uuid4().hex[:8]}")
    try:
        model.save_pretrained(making)
        if tokenizer is not None:
            tokenizer.save_pretrained(making)
        making.replace(out)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    print(f"wrote {out}: {type(model).__name__}")
    if tokenizer is None:
        print(f"{given.base} has no tokenizer to write beside it: copy the fine-tune's there")
    elif len(model.get_input_embeddings().weight) > len(tokenizer):
        print("its vocabulary may be larger than the tokenizer's, which is the base's: copy the fine-tune's beside it")


def _load_base(name: str) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase | None]":
    """Return a base model and its tokenizer; None where none of a tokenizer's files lies beside it."""
    from lib.models import ModelError, checkpoint_folder
    from lib.models import load as load_model
    from lib.models.quiet import quiet_transformers

    folder = checkpoint_folder(name)
    if any((folder / file).is_file() for file in _TOKENIZER_FILES):
        base = load_model(name)
        return base.model, base.tokenizer
    from transformers import AutoModelForCausalLM

    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype="float32", use_safetensors=True, trust_remote_code=False, local_files_only=True
            )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"transformers cannot load {name} from {folder}: {reason}; bring its files again") from error
    return model.eval(), None
