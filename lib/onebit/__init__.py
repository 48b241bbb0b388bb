"""OneBit (Xu et al., NeurIPS 2024): linear layers as one sign a weight and two value vectors.

    decomposition = svid(weight)                       # W ~ sign(W) * (h g^T): section 3.3, Eq. 4
    matrix = OneBitMatrix.from_svid(decomposition)     # packed, vectors in fp16
    save_checkpoint(path, {"layer": matrix})

The paper's symbols: W [m, n] has m outputs and n inputs; g (n values, input side) scales inputs, h (m values, output
side) scales outputs.

`lib.onebit.training` distils students (section 3.4); `lib.onebit.baselines` and `lib.onebit.contest` compare them with
other methods; `lib.onebit.pretrained` makes whole models checkpoints of transformers. Importing this package registers
the method "onebit" there, so that `AutoModelForCausalLM.from_pretrained(folder)` works; it costs no time before
transformers itself is imported (see `registration`).
"""

from lib.onebit.checkpoint import CheckpointError, OneBitCheckpoint, OneBitMatrix, load_checkpoint, save_checkpoint
from lib.onebit.packing import pack_signs, packed_bytes, unpack_signs
from lib.onebit.registration import register_when_needed
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

register_when_needed()
