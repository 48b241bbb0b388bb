"""What `config.json` says about a OneBit checkpoint."""

from collections.abc import Sequence

from transformers.utils.quantization_config import QuantizationConfigMixin

from lib.onebit.checkpoint import CheckpointError
from lib.onebit.registration import METHOD

VERSION = 1


class OneBitConfig(QuantizationConfigMixin):
    """The `quantization_config` of a OneBit checkpoint.

    Attributes:
        quant_method: "onebit".
        version: Of the format, 1.
        post_layer_norm: Whether every projection ends in the paper's LayerNorm (Eq. 3). SVID without training wants it
            off: with it, the output's magnitude is lost and the model no longer resembles its teacher.
        modules_to_not_convert: Names of projections, or ends of names, that stay dense, such as "layers.0.mlp.up_proj".
    """

    def __init__(
        self,
        post_layer_norm: bool = False,
        modules_to_not_convert: Sequence[str] = (),
        version: int = VERSION,
        quant_method: str = METHOD,
        **unknown: object,
    ) -> None:
        """Take what config.json says.

        Raises:
            CheckpointError: It is of another version or method, or says something that this version does not know.
        """
        if quant_method != METHOD:
            raise CheckpointError(f"quantization_config says quant_method {quant_method!r}; expected {METHOD!r}")
        if version != VERSION:
            raise CheckpointError(
                f"quantization_config says version {version!r}; this code reads version {VERSION}, "
                "so use the code that wrote the checkpoint, or make it again"
            )
        if unknown:
            raise CheckpointError(
                f"quantization_config holds {', '.join(sorted(unknown))}, unknown in version {VERSION}"
            )
        if not isinstance(post_layer_norm, bool):
            raise CheckpointError(
                f"quantization_config says post_layer_norm {post_layer_norm!r}; expected true or false"
            )
        self.quant_method = quant_method
        self.version = version
        self.post_layer_norm = post_layer_norm
        self.modules_to_not_convert = list(modules_to_not_convert or ())

    def converts(self, name: str) -> bool:
        """Tell whether the projection of that name becomes one bit."""
        return not any(name == kept or name.endswith(f".{kept}") for kept in self.modules_to_not_convert)
