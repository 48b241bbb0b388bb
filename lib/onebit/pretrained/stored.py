"""Look at a checkpoint's files before transformers reads them.

For a tensor that is not in the files transformers makes up random values and prints a table; here that is an error.
Only headers are read.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lib.onebit.checkpoint import CheckpointError
from lib.onebit.pretrained.quantise import onebit_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PARTS = {"sign_bits": "U8", "output_scale": "F16", "input_scale": "F16"}  # types as safetensors names them


def check_files(model: "PreTrainedModel", files: Sequence[str]) -> None:
    """Check that the files hold every tensor of the model, the OneBit ones in the right type and shape.

    A head that the checkpoint was not made with (such as a classifier's) may be missing.

    Raises:
        CheckpointError: A file is truncated or no safetensors; a tensor is missing, or has another type or shape.
    """
    headers = _headers(files)
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    missing = [name for name in _required(model, shapes) if _find(name, headers, model.base_model_prefix) is None]
    if missing:
        raise CheckpointError(f"{min(missing)} is not in {files[0]} ({len(missing)} tensors missing): copy it again")
    for layer in onebit_layers(model):
        for part, dtype in _PARTS.items():
            name = f"{layer}.{part}"
            found = headers[_find(name, headers, model.base_model_prefix)]
            if found != (dtype, shapes[name]):
                raise CheckpointError(
                    f"{name} is {found[0]} {found[1]} in the file; config.json asks for {dtype} {shapes[name]}"
                )


def _headers(files: Sequence[str]) -> dict[str, tuple[str, list[int]]]:
    from safetensors import SafetensorError, safe_open

    headers = {}
    for path in files:
        if not str(path).endswith(".safetensors"):
            raise CheckpointError(f"{path} is not read: a OneBit checkpoint is .safetensors, a pickle can run code")
        try:
            with safe_open(path, framework="pt") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                headers |= {name: (part.get_dtype(), list(part.get_shape())) for name, part in slices.items()}
        except SafetensorError as error:
            raise CheckpointError(f"{path} is truncated or damaged ({error}); copy or make it again") from error
    return headers


def _required(model: "PreTrainedModel", names: Iterable[str]) -> list[str]:
    """Everything of the base model, and the language model's head unless it is tied."""
    base, tied = f"{model.base_model_prefix}.", set(model.all_tied_weights_keys)
    whole = model.base_model is model
    return [name for name in names if name not in tied and (whole or name.startswith((base, "lm_head.")))]


def _find(name: str, headers: dict[str, object], prefix: str) -> str | None:
    """The name in the file of a tensor of the model: a bare base model reads the files of one with a head, and back."""
    candidates = (name, f"{prefix}.{name}", name.removeprefix(f"{prefix}."))
    return next((candidate for candidate in candidates if candidate in headers), None)
