"""Delta-CoMe (Ping et al., NeurIPS 2024): a fine-tuned model as its base and a few bits.

    artifact = compress("base/folder", "finetuned/folder", "math.safetensors", ratio="1/16")
    model = apply(base_model, "math.safetensors")                                    # merged: one dense model
    served = attach(base_model, {"math": "math.safetensors"})                        # factored: many tenants, one base
    served.generate(input_ids, tenants=["math", None])

    blocks = calibration_blocks(corpus.train, tokenizer, length=512, sequences=16)   # or step by step, in memory
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
    from lib.delta_come.artifact import Artifact, in_memory
    from lib.delta_come.calibration import calibration_blocks
    from lib.delta_come.compression import compress
    from lib.delta_come.delta import Pair, take_pair
    from lib.delta_come.equal_bytes import EqualBytes
    from lib.delta_come.factors import CompressedDelta, CompressedMatrix, GroupFactors, QuantisedMatrix
    from lib.delta_come.files import load, save
    from lib.delta_come.merging import apply
    from lib.delta_come.options import CompressOptions
    from lib.delta_come.sequential import compress_blocks, compress_delta
    from lib.delta_come.serving import ServedModel, attach
    from lib.delta_come.synthetic import matrix_shapes, synthetic_delta
    from lib.delta_come.tenants import tenant_bytes

__all__ = [
    "Artifact",
    "CompressOptions",
    "CompressedDelta",
    "CompressedMatrix",
    "DeltaError",
    "EqualBytes",
    "Group",
    "GroupFactors",
    "MarginalGain",
    "Pair",
    "Plan",
    "PlanRule",
    "QuantisedMatrix",
    "ServedModel",
    "Storage",
    "apply",
    "attach",
    "calibration_blocks",
    "compress",
    "compress_blocks",
    "compress_delta",
    "in_memory",
    "load",
    "matrix_shapes",
    "save",
    "synthetic_delta",
    "take_pair",
    "tenant_bytes",
]

# Where the names live that need torch; imported when they are first asked for.
_PLACES = {
    "Artifact": "artifact",
    "CompressOptions": "options",
    "CompressedDelta": "factors",
    "CompressedMatrix": "factors",
    "EqualBytes": "equal_bytes",
    "GroupFactors": "factors",
    "MarginalGain": "allocation",
    "Pair": "delta",
    "QuantisedMatrix": "factors",
    "ServedModel": "serving",
    "apply": "merging",
    "attach": "serving",
    "calibration_blocks": "calibration",
    "compress": "compression",
    "compress_blocks": "sequential",
    "compress_delta": "sequential",
    "in_memory": "artifact",
    "load": "files",
    "matrix_shapes": "synthetic",
    "save": "files",
    "synthetic_delta": "synthetic",
    "take_pair": "delta",
    "tenant_bytes": "tenants",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
