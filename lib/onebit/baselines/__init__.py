"""What OneBit is compared with: rounding, GPTQ, two-bit quantisation-aware training, BitNet's layer.

    rounded = rounded_copy(teacher, lambda weight: round_to_nearest(weight, bits=2))      # after training, no data
    quantised = gptq_copy(teacher, calibration_blocks, bits=2)                            # after training, some data
    student = student_of(teacher, MinMaxForm(bits=2).make_layer)                          # trained, then `distil`
    student = student_of(teacher, BitNetForm("paper").make_layer)

No method has groups along the inputs: each row (output) has one grid, as in the paper's comparison (App. A.2).
"""

from lib.onebit.baselines.bitnet import BitNetForm, BitNetLinear
from lib.onebit.baselines.gptq_matrix import gptq
from lib.onebit.baselines.gptq_model import gptq_copy
from lib.onebit.baselines.grids import RowGrid, bits_per_weight, round_to_nearest, row_grid
from lib.onebit.baselines.min_max import MinMaxForm, MinMaxLinear
from lib.onebit.baselines.rounding import rounded_copy
from lib.onebit.baselines.sign_scalar import SignScalarForm, SignScalarLinear

__all__ = [
    "BitNetForm",
    "BitNetLinear",
    "MinMaxForm",
    "MinMaxLinear",
    "RowGrid",
    "SignScalarForm",
    "SignScalarLinear",
    "bits_per_weight",
    "gptq",
    "gptq_copy",
    "round_to_nearest",
    "rounded_copy",
    "row_grid",
]
