"""Delta-CoMe (Ping et al., NeurIPS 2024): a fine-tuned model as its base and a few bits.

    blocks = calibration_blocks(corpus.train, tokenizer, length=512, sequences=16)
    delta = compress_delta("base/folder", "finetuned/folder", "8:2,3:32,2:rest", 1 / 16, blocks)

The difference of two checkpoints is decomposed matrix by matrix; its leading singular directions are kept at many bits,
the next at fewer, the rest not at all. The paper's symbols: dW [m, n] = U diag(s) V^T has m outputs and n inputs; alpha
is the ratio of a delta's bits to those of 16-bit weights. What is called V in code is V^T [ranks, n].

Importing this room imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lib.delta_come.errors import DeltaError
from lib.delta_come.plan import Group, Plan, PlanRule, Storage

if TYPE_CHECKING:
    from lib.delta_come.allocation import MarginalGain
    from lib.delta_come.calibration import calibration_blocks
    from lib.delta_come.compress import compress_blocks, compress_delta
    from lib.delta_come.delta import Pair, take_pair
    from lib.delta_come.factors import CompressedDelta, CompressedMatrix, GroupFactors, QuantisedMatrix
    from lib.delta_come.options import CompressOptions

__all__ = [
    "CompressOptions",
    "CompressedDelta",
    "CompressedMatrix",
    "DeltaError",
    "Group",
    "GroupFactors",
    "MarginalGain",
    "Pair",
    "Plan",
    "PlanRule",
    "QuantisedMatrix",
    "Storage",
    "calibration_blocks",
    "compress_blocks",
    "compress_delta",
    "take_pair",
]

# Where the names live that need torch; imported when they are first asked for.
_PLACES = {
    "CompressOptions": "options",
    "CompressedDelta": "factors",
    "CompressedMatrix": "factors",
    "GroupFactors": "factors",
    "MarginalGain": "allocation",
    "Pair": "delta",
    "QuantisedMatrix": "factors",
    "calibration_blocks": "calibration",
    "compress_blocks": "compress",
    "compress_delta": "compress",
    "take_pair": "delta",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
