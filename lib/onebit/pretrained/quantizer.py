"""What transformers calls while it loads and saves a OneBit checkpoint (registered as "onebit").

It also quantises at loading: `from_pretrained(dense_folder, quantization_config=OneBitConfig())` is `quantise` of the
loaded model.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers.quantizers.base import HfQuantizer

from lib.models.errors import ModelError
from lib.onebit.pretrained.configuration import VERSION, OneBitConfig
from lib.onebit.pretrained.layer import OneBitLinear
from lib.onebit.pretrained.quantise import named_projections, onebit_layers, quantise
from lib.onebit.pretrained.stored import check_files

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class OneBitQuantizer(HfQuantizer):
    """Puts empty OneBit layers in place before the weights are read, and packs them for their device after."""

    requires_calibration = False
    quantization_config: OneBitConfig

    def validate_environment(self, *_arguments: object, device_map: object = None, **_options: object) -> None:
        """Refuse what is not supported.

        Raises:
            ModelError: The device map offloads to disk.
        """
        if isinstance(device_map, dict) and "disk" in device_map.values():
            raise ModelError("a OneBit model is not offloaded to disk: at one bit a weight, give it 'cpu' instead")

    def is_serializable(self) -> bool:
        """Tell transformers that save_pretrained works."""
        return True

    @property
    def is_trainable(self) -> bool:
        """Tell transformers that the signs are not trained."""
        return False

    @property
    def is_compileable(self) -> bool:
        """Tell transformers that torch.compile works: the layer is one registered operator."""
        return True

    def get_state_dict_and_metadata(self, model: "PreTrainedModel") -> tuple[None, dict[str, str]]:
        """Return no state dict of our own, and what the safetensors file's metadata shall say."""
        return None, {"quantization": self.quantization_config.quant_method, "quantization_version": str(VERSION)}

    def _process_model_before_weight_loading(
        self, model: "PreTrainedModel", checkpoint_files: Sequence[str] | None = None, **_options: object
    ) -> None:
        if not self.pre_quantized:
            return
        config = self.quantization_config
        for name, linear in named_projections(model, config).items():
            layer = OneBitLinear(
                linear.in_features,
                linear.out_features,
                linear.bias is not None,
                config.post_layer_norm,
                device=linear.weight.device,  # "meta"
                dtype=linear.weight.dtype,
            )
            model.set_submodule(name, layer)
        if checkpoint_files is not None:
            check_files(model, checkpoint_files)

    def _process_model_after_weight_loading(self, model: "PreTrainedModel", **_options: object) -> "PreTrainedModel":
        config = self.quantization_config
        if not self.pre_quantized:
            del model.hf_quantizer  # so that it counts as dense; `quantise` sets it again
            return quantise(model, "balanced", config.post_layer_norm, config.modules_to_not_convert)
        for name, layer in onebit_layers(model).items():
            layer.requires_grad_(False)
            layer.check(name)
            layer.pack()
        return model

    def _dequantize(self, model: "PreTrainedModel", dtype: torch.dtype | None = None) -> "PreTrainedModel":
        """Put dense layers of sign * h gᵀ back: what `model.dequantize()` does."""
        if self.quantization_config.post_layer_norm:
            raise ModelError("a projection with post_layer_norm is no matrix: this model has no dense form")
        for name, layer in onebit_layers(model).items():
            linear = torch.nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
            linear.weight = torch.nn.Parameter(layer.matrix.dequantise().to(dtype), requires_grad=False)
            linear.bias = layer.bias
            model.set_submodule(name, linear)
        return model
