"""OneBit models as checkpoints of transformers: one bit a weight on disk and in memory.

    quantise(model)                                    # SVID of every projection, in place
    save_model(model, folder, tokenizer)               # save_pretrained, with a model card
    model = AutoModelForCausalLM.from_pretrained(folder)     # anywhere, after `from lib import onebit`

A projection `name` is stored as `name.sign_bits` (uint8, the layout of `lib.onebit.packing`), `name.output_scale` (h,
fp16), `name.input_scale` (g, fp16) and, where it has one, `name.bias`; `config.json` says
`"quantization_config": {"quant_method": "onebit", "version": 1, ...}`.

Importing this imports torch and transformers' quantizers. Left out: training (a trained student's matrices come in
through `replace_projections`), offloading to disk, tensor parallelism.
"""

# First, before the modules below are entered: it registers them when it has run (see `lib.onebit.registration`).
import transformers.quantizers.auto  # noqa: F401, I001

from lib.onebit.pretrained.card import model_card, save_model
from lib.onebit.pretrained.layer import OneBitLinear
from lib.onebit.pretrained.configuration import OneBitConfig
from lib.onebit.pretrained.quantise import ProjectionMemory, projection_memory, quantise, replace_projections
from lib.onebit.pretrained.quantizer import OneBitQuantizer
from lib.onebit.pretrained.release import convert_release, model_from_release

__all__ = [
    "OneBitConfig",
    "OneBitLinear",
    "OneBitQuantizer",
    "ProjectionMemory",
    "convert_release",
    "model_card",
    "model_from_release",
    "projection_memory",
    "quantise",
    "replace_projections",
    "save_model",
]
