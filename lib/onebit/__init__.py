"""OneBit (Xu et al., NeurIPS 2024): linear layers as one sign a weight and two value vectors.

    decomposition = svid(weight)                       # W ~ sign(W) * (h g^T): section 3.3, Eq. 4
    matrix = OneBitMatrix.from_svid(decomposition)     # packed, vectors in fp16
    save_checkpoint(path, {"layer": matrix})

The paper's symbols: W [m, n] has m outputs and n inputs; g (n values, input side) scales inputs, h (m values, output
side) scales outputs. Left out so far: training (section 3.4) and the layer's LayerNorm (Eq. 3).
"""

from lib.onebit.checkpoint import CheckpointError, OneBitCheckpoint, OneBitMatrix, load_checkpoint, save_checkpoint
from lib.onebit.packing import pack_signs, packed_bytes, unpack_signs
from lib.onebit.svid import Split, Svid, onebit_linear, relative_error, sign, svid

__all__ = [
    "CheckpointError",
    "OneBitCheckpoint",
    "OneBitMatrix",
    "Split",
    "Svid",
    "load_checkpoint",
    "onebit_linear",
    "pack_signs",
    "packed_bytes",
    "relative_error",
    "save_checkpoint",
    "sign",
    "svid",
    "unpack_signs",
]
