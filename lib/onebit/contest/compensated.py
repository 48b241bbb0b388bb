"""A start at the same bits: signs chosen for what a layer puts out, not weight by weight.

SVID takes sign(W_ij) for every weight by itself. Going through the inputs one after the other as GPTQ does, on the grid
of the layer's own two values +h_i g_j and -h_i g_j, lets the signs to come make up for the error of those before:

    minimise tr((W - S * h g^T) H (W - S * h g^T)^T) greedily, H = X^T X over the layer's inputs in the teacher

Then h is set to its optimum for these signs, row by row: h = (w H r^T) / (r H r^T) with r the row of S * g.
The layer that is stored is the paper's without LayerNorm, bit for bit the same size; only the start differs. A latent
weight keeps its size |W_ij| and takes the chosen sign.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from lib.models import is_projection
from lib.onebit.baselines.gptq_matrix import compensate
from lib.onebit.baselines.rounding import check_finite
from lib.onebit.svid import sign, svid
from lib.onebit.training.conversion import student_of
from lib.onebit.training.layer import OneBitLinear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_AT_ONCE = 16  # sequences


def compensated_student(teacher: "PreTrainedModel", calibration: torch.Tensor) -> "PreTrainedModel":
    """Return a student whose projections start from compensated signs, as `student_of`.

    Args:
        teacher: A dense model of the Llama, Mistral or Qwen shape.
        calibration: Token ids, [blocks, T].
    """
    for name, parameter in teacher.named_parameters():
        check_finite(parameter, name)
    return student_of(teacher, CompensatedForm(input_hessians(teacher, calibration)).make_layer)


@dataclass(frozen=True)
class CompensatedForm:
    """Layers that start from compensated signs.

    Attributes:
        hessians: X^T X of every projection's inputs, by the layer's name; from `input_hessians`.
        act_order: Inputs of the largest energy first.
        damping: Share of the mean of H's diagonal that is added to it; large, because one bit rounds coarsely.
    """

    hessians: dict[str, torch.Tensor]
    act_order: bool = True
    damping: float = 1.0

    def make_layer(self, linear: nn.Linear, name: str) -> nn.Module:
        """Return the trainable layer that takes a dense layer's place."""
        weight = linear.weight.detach().float()
        parts = svid(weight, name=f"{name}.weight")
        h, g = parts.output_scale.double()[:, None], parts.input_scale.double()
        chosen = compensate(
            weight,
            self.hessians[name],
            lambda column, j: sign(column) * h * g[j],
            act_order=self.act_order,
            damping=self.damping,
            name=f"{name}.weight",
        )
        signs = sign(chosen)
        output_scale = _best_output_scale(weight, signs * parts.input_scale, self.hessians[name])
        return OneBitLinear(signs * weight.abs(), parts.input_scale, output_scale, linear.bias, post_norm=False)


def _best_output_scale(weight: torch.Tensor, rows: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    """Return for each row w of W the h that minimises (w - h r) H (w - h r)^T, with r the row of S * g; [m]."""
    w, r = weight.double(), rows.double()
    rH = r @ hessian
    return ((w * rH).sum(1) / (r * rH).sum(1).clamp(min=1e-30)).float()


def input_hessians(model: "PreTrainedModel", blocks: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return X^T X of every projection's inputs over calibration text, float64 [n, n], by the layer's name.

    Args:
        model: The dense teacher; its layers see its own activations.
        blocks: Calibration token ids, [sequences, T].
    """
    hessians: dict[str, torch.Tensor] = {}

    def adding(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def hook(_linear: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            X = inputs[0].flatten(0, -2).float()
            hessians[name] = hessians.get(name, 0) + (X.T @ X).double()

        return hook

    linears = {name: module for name, module in model.named_modules() if is_projection(f"{name}.weight")}
    handles = [linear.register_forward_pre_hook(adding(name)) for name, linear in linears.items()]
    try:
        with torch.inference_mode():
            for part in blocks.split(_AT_ONCE):
                model(part.to(model.device).long(), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return hessians
