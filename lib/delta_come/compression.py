"""From two checkpoints to one file: the method, its calibration text, its unfinished state, its artifact.

    artifact = compress("base/folder", "finetuned/folder", "math.safetensors", ratio="1/16")

Left out: the fine-tune's tokenizer. Where it has more tokens than the base's, keep its files beside the artifact.
"""

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from lib.delta_come.artifact import Artifact
from lib.delta_come.base import check_carried
from lib.delta_come.calibration_text import Calibration, calibration_tokens
from lib.delta_come.errors import DeltaError
from lib.delta_come.files import check_target, save_packed
from lib.delta_come.hashes import content_hash, digests
from lib.delta_come.header import KEY, Header, tool_version
from lib.delta_come.options import PAPER, CompressOptions
from lib.delta_come.plan import Plan
from lib.delta_come.work import open_work, work_folder
from lib.models import LoadedModel, checkpoint_folder
from lib.progress import progress

if TYPE_CHECKING:
    import torch

    from lib.delta_come.checkpoint import Source
    from lib.delta_come.delta import Pair
    from lib.delta_come.matrices import Rule

_OPTIONS = CompressOptions()
# Of a configuration, what tells where or with what it was made, and no model is made by.
_NOT_KEPT = ("transformers_version", "dtype", "torch_dtype")


def compress(
    base: "Source",
    finetuned: "Source",
    out: Path | str,
    ratio: "str | float" = "1/16",
    plan: "str | Rule" = PAPER,
    calibration: Calibration = None,
    tokens: int = 8192,
    window: int = 512,
    options: CompressOptions = _OPTIONS,
) -> Artifact:
    """Compress a fine-tune into one file and return its artifact; interrupted, the same call goes on at the next block.

    Args:
        base: A packaged model's name, a hub name, a folder in the hub's format, or a model.
        finetuned: As `base`; of the same shape, but its vocabulary may have grown.
        out: The file to be written, whole or not at all. Unfinished work lies beside it in `OUT.work`.
        ratio: alpha of the paper's budget, which counts codes alone: "1/16", or 0.0625.
        plan: Bits and ranks, such as "8:2,3:32,2:rest", or a rule of `lib.delta_come`.
        calibration: Text to quantise on: a file or folder of .txt, .md and .rst, or token blocks [sequences, T]; None:
            the project's default corpus. Not read by the quantiser "rtn".
        tokens: Number of tokens of it.
        window: Tokens in a sequence.
        options: How, see `CompressOptions`.

    Raises:
        DeltaError: The two do not belong together, nothing or no finite number is between them, the budget is too small
            for the plan, the text is too short, the file cannot be written or would lie in a folder of one of the two,
            or an artifact lies there already.
        ModelError: One of the two cannot be read.
    """
    from lib.delta_come.delta import take_pair
    from lib.delta_come.sequential import compress_blocks, count_blocks

    out, ratio = check_target(out), parse_ratio(ratio)
    plan = parse_plan(plan)
    for name, source in (("BASE", base), ("FINETUNED", finetuned)):
        _check_folder(name, source, out)
    pair = take_pair(base, finetuned)
    check_carried(pair)
    blocks = calibration_tokens(calibration, base, tokens, window) if options.needs_inputs else None
    header = replace(_header(pair), plan=str(plan), ratio=ratio, options=options.as_dict())
    with open_work(out, _request(header, blocks)) as work:
        found = compress_blocks(pair, finetuned, plan, ratio, blocks, options, work.finished)
        for block, matrices in enumerate(progress(found, "compressing", total=count_blocks(pair))):
            work.keep(block, matrices)
        return save_packed(out, work.packed(), pair.raw(options.shared_embeddings), header)


def parse_ratio(ratio: "str | float") -> float:
    """Return a ratio that is given as a number or as a text such as "1/16".

    Raises:
        DeltaError: It is neither, or not between 0 and 1.
    """
    try:
        if isinstance(ratio, bool):
            raise TypeError("a truth value is no ratio")
        value = float(Fraction(ratio))
    except (ValueError, TypeError, ArithmeticError) as error:  # of arithmetic: 1/0, and infinity
        raise DeltaError(f"a ratio is a number such as 1/16 or 0.0625, got {ratio!r}") from error
    if not 0 < value <= 1:
        raise DeltaError(f"a ratio is above 0 and at most 1, such as 1/16, got {ratio!r}")
    return value


def parse_plan(plan: "str | Rule") -> "Rule":
    """Return a plan that is given as a rule or as a text such as "8:2,3:32,2:rest".

    Raises:
        DeltaError: It is neither.
    """
    from lib.delta_come.matrices import Rule

    if isinstance(plan, str):
        return Plan.parse(plan)
    if not isinstance(plan, Rule):
        kinds = ", ".join(kind.__name__ for kind in get_args(Rule))
        raise DeltaError(f'a plan is a text such as "8:2,3:32,2:rest", or one of {kinds}; got {plan!r}')
    return plan


def _check_folder(name: str, source: "Source", out: Path) -> None:
    """Keep artifacts out of a model's folder: every .safetensors file there is read as a part of the model."""
    if isinstance(source, LoadedModel):
        folder = source.folder
    elif isinstance(source, str | Path):
        folder = checkpoint_folder(source)
    else:
        return
    place, target = folder.resolve(), out.parent.resolve() / out.name
    work = work_folder(target)  # removed in the end, with all that is in it
    if any(path.is_relative_to(place) for path in (target, work)) or place.is_relative_to(work):
        raise DeltaError(
            f"{out} cannot be written: it or its work folder {work.name} would lie in {folder}, the folder of {name}, "
            "or hold it, and every .safetensors file there is read as a part of the model; choose another folder"
        )
    for path in sorted(place.glob("*.safetensors")):
        if _is_artifact(path):
            raise DeltaError(
                f"{path} is an artifact of Delta-CoMe in the folder of {name}, where it would be read as a part of the "
                "model: move it to another folder"
            )


def _is_artifact(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return KEY in (file.metadata() or {})
    except (SafetensorError, OSError):  # whoever reads the model says so
        return False


def _header(pair: "Pair") -> Header:
    base = digests(pair.base.weights.items())
    finetuned = digests(pair.finetuned.weights.items())
    if base == finetuned:
        raise DeltaError(
            f"{pair.finetuned.label} equals {pair.base.label} in every weight: there is nothing to compress; give the "
            "fine-tuned model as the second one"
        )
    config = {
        key: value for key, value in pair.finetuned.config.items() if not key.startswith("_") and key not in _NOT_KEPT
    }
    return Header(
        plan="",
        ratio=0.0,
        base_hash=content_hash(base),
        finetuned_hash=content_hash(finetuned),
        base_tensors=base,
        tied=pair.finetuned.tied,
        config=config,
        weights=sum(tensor.numel() for tensor in pair.finetuned.weights.values()),
    )


def _request(header: Header, blocks: "torch.Tensor | None") -> dict[str, Any]:
    text = None if blocks is None else hashlib.sha256(blocks.long().numpy().tobytes()).hexdigest()[:16]
    kept = {key: getattr(header, key) for key in ("base_hash", "finetuned_hash", "plan", "ratio", "options")}
    return kept | {"calibration": text, "tool": tool_version()}
