import pytest
import torch
from torch import nn

from lib.onebit.pretrained import save_model
from lib.onebit.training import OneBitForm, onebit_layers, student_of
from lib.onebit.training.finished import packed_model


@pytest.mark.parametrize("post_norm", [True, False])
def test_the_packed_model_computes_what_the_student_does(teacher, blocks, post_norm):
    student = student_of(teacher, OneBitForm(post_norm=post_norm).make_layer).eval()
    model, ids = packed_model(student, teacher), blocks[:4].long()
    with torch.no_grad():
        expected, found = student(ids).logits, model(ids).logits
    assert (found - expected).norm() < 5e-3 * expected.norm()  # g and h are rounded to fp16
    assert model.config.quantization_config.post_layer_norm == post_norm


def test_student_and_teacher_are_left_as_they_are(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    packed_model(student, teacher)
    assert isinstance(teacher.model.layers[0].mlp.up_proj, nn.Linear)
    assert len(dict(onebit_layers(student))) == 14


def test_it_can_be_saved(teacher, tmp_path):
    model = packed_model(student_of(teacher, OneBitForm().make_layer), teacher)
    folder = save_model(model, tmp_path / "student")
    assert {path.name for path in folder.iterdir()} >= {"README.md", "config.json", "model.safetensors"}


def test_a_dense_model_is_no_student(teacher):
    with pytest.raises(ValueError, match="has no OneBit layers"):
        packed_model(teacher, teacher)


def test_layers_of_two_kinds_are_refused(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    student.model.layers[0].mlp.up_proj.post_norm = False
    with pytest.raises(ValueError, match="with and without a LayerNorm"):
        packed_model(student, teacher)
