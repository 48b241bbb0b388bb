"""From a trained student to the model that is kept: latent weights go, one bit of each stays.

model = packed_model(student, teacher)
save_model(model, folder, tokenizer)         # of `lib.onebit.pretrained`: a checkpoint of transformers
"""

import copy
from typing import TYPE_CHECKING

from lib.onebit.pretrained import OneBitConfig, replace_projections
from lib.onebit.training.conversion import onebit_layers, packed_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def packed_model(student: "PreTrainedModel", teacher: "PreTrainedModel") -> "PreTrainedModel":
    """Return a student's packed self, ready to save and to generate with; student and teacher are left as they are.

    Embedding, norms and head come from the teacher, with which the student shares them, frozen.

    Args:
        student: From `student_of`, with layers of `OneBitForm`, trained or not.
        teacher: Whose projections the student replaced.

    Raises:
        ValueError: The student has no OneBit layers, or some normalise their outputs and some do not.
        CheckpointError: A value vector does not fit fp16, or the two models do not fit together.
    """
    layers = dict(onebit_layers(student))
    norms = {layer.post_norm for layer in layers.values()}
    if len(norms) != 1:
        found = "no OneBit layers" if not norms else "OneBit layers with and without a LayerNorm"
        raise ValueError(f"this {type(student).__name__} has {found}; a checkpoint needs them all of one kind")
    # Dense weights are about to be replaced: they need not exist twice.
    dense = {id(teacher.get_submodule(name)): teacher.get_submodule(name) for name in layers}
    model = copy.deepcopy(teacher, dense)
    return replace_projections(model, packed_layers(student).items(), OneBitConfig(post_layer_norm=norms.pop()))
