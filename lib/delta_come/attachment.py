"""What serving puts on a base model, and takes off again: a hook on every projection, and on modules of own tensors.

Without a routing the hooks do nothing, and the model is the base.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from lib.delta_come import own_tensors
from lib.delta_come.checkpoint import EMBEDDING
from lib.delta_come.errors import DeltaError
from lib.delta_come.routing import Routing
from lib.models import is_projection

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from lib.delta_come.tenants import Tenant


class Attachment:
    """The hooks on one model.

    Args:
        model: The base.
        routing: Returns the tenants of the rows that are being computed, None outside of calls.

    Raises:
        DeltaError: The model has no projections.
    """

    def __init__(self, model: "PreTrainedModel", routing: Callable[[], Routing | None]) -> None:
        self._model, self._routing = model, routing
        self._replaced: dict[str, Callable[..., torch.Tensor] | None] = {}
        self._handles = [
            module.register_forward_hook(partial(self._add_delta, name))
            for name, module in model.named_modules()
            if is_projection(f"{name}.weight")
        ]
        if not self._handles:
            raise DeltaError(
                f"this {type(model).__name__} has no projections named like model.layers.0.self_attn.q_proj, as "
                "Llama, Mistral and Qwen name them"
            )

    def serve_own_tensors(self, tenant: "Tenant") -> None:
        """See to it that the modules of a tenant's own tensors look at the rows."""
        modules = {name.rpartition(".")[0] for name in tenant.own}
        names = {name for name in modules if not is_projection(f"{name}.weight")}  # of those, `_add_delta` adds biases
        if tenant.tied and EMBEDDING in tenant.own:
            names.add("lm_head")
        for name in names - self._replaced.keys():
            module = self._model.get_submodule(name)
            self._replaced[name] = module.__dict__.get("forward")
            module.forward = partial(self._run, module, name, module.forward)

    def remove(self) -> None:
        """Take everything off again."""
        for handle in self._handles:
            handle.remove()
        for name, before in self._replaced.items():
            module = self._model.get_submodule(name)
            del module.forward
            if before is not None:  # somebody else's
                module.forward = before
        self._handles, self._replaced = [], {}

    def __deepcopy__(self, memo: object) -> "Attachment":
        raise DeltaError("a model cannot be copied while it serves tenants: detach() gives it back as it was")

    def _add_delta(
        self, name: str, module: "torch.nn.Linear", inputs: "tuple[torch.Tensor, ...]", output: "torch.Tensor"
    ) -> "torch.Tensor | None":
        routing = self._routing()
        if routing is None:
            return None
        delta = routing.delta(f"{name}.weight", inputs[0])
        output = output if delta is None else output + delta
        rows = routing.rows_of(inputs[0], name)
        return own_tensors.add_own_bias(output, module.bias, f"{name}.bias", rows, routing)

    def _run(
        self, module: "torch.nn.Module", name: str, base: "own_tensors.Forward", x: "torch.Tensor"
    ) -> "torch.Tensor":
        routing = self._routing()
        return base(x) if routing is None else own_tensors.run(module, name, base, x, routing)
