"""What serving puts on a base model, and takes off again: a hook on every projection, and on modules of own tensors.

Without a routing the hooks do nothing, and the model is the base. Any number of served models may share one: they share
its hooks too, which come off with the last of them.
"""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


_NAME = "_delta_come_attachment"  # under which a model holds its attachment
_LOCK = threading.Lock()  # two threads may attach to one model, or detach from it, at once


class Attachment:
    """The hooks on one model, one of each however many served models share it; see `attached`.

    Args:
        model: The base.

    Raises:
        DeltaError: The model has no projections.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model, self._call = model, threading.local()
        # Weakly: a served model that was let go without detaching does not keep the hooks on.
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._replaced: dict[str, tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor] | None]] = {}
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

    @contextmanager
    def routed(self, routing: Routing) -> Iterator[None]:
        """Let the rows that this thread computes in this block belong to tenants; the innermost block counts."""
        before = self._routing
        self._call.routing = routing
        try:
            yield
        finally:
            self._call.routing = before

    def serve_own_tensors(self, tenant: "Tenant") -> None:
        """See to it that the modules of a tenant's own tensors look at the rows."""
        modules = {name.rpartition(".")[0] for name in tenant.own}
        names = {name for name in modules if not is_projection(f"{name}.weight")}  # of those, `_add_delta` adds biases
        if tenant.tied and EMBEDDING in tenant.own:
            names.add("lm_head")
        with _LOCK:
            for name in names - self._replaced.keys():
                module = self._model.get_submodule(name)
                before = module.__dict__.get("forward")
                module.forward = partial(self._run, module, name, module.forward)
                self._replaced[name] = module.forward, before

    def release(self, user: object) -> None:
        """Take everything off again, unless others than this user still need it."""
        with _LOCK:
            self._users.discard(user)
            if not self._users and getattr(self._model, _NAME, None) is self:
                delattr(self._model, _NAME)
                self._remove()

    def _remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        for name, (ours, before) in self._replaced.items():
            module = self._model.get_submodule(name)
            if module.__dict__.get("forward") is not ours:
                continue  # somebody else's stands on ours, which without a routing is the base's
            del module.forward
            if before is not None:  # somebody else's
                module.forward = before
        self._handles, self._replaced = [], {}

    def __deepcopy__(self, memo: object) -> "Attachment":
        raise DeltaError("a model cannot be copied while it serves tenants: detach() gives it back as it was")

    @property
    def _routing(self) -> Routing | None:
        return getattr(self._call, "routing", None)

    def _add_delta(
        self, name: str, module: "torch.nn.Linear", inputs: "tuple[torch.Tensor, ...]", output: "torch.Tensor"
    ) -> "torch.Tensor | None":
        routing = self._routing
        if routing is None:
            return None
        delta = routing.delta(f"{name}.weight", inputs[0])
        output = output if delta is None else output + delta
        rows = routing.rows_of(inputs[0], name)
        return own_tensors.add_own_bias(output, module.bias, f"{name}.bias", rows, routing)

    def _run(
        self, module: "torch.nn.Module", name: str, base: "own_tensors.Forward", x: "torch.Tensor"
    ) -> "torch.Tensor":
        routing = self._routing
        return base(x) if routing is None else own_tensors.run(module, name, base, x, routing)


def attached(model: "PreTrainedModel", user: object) -> Attachment:
    """Return a model's attachment, made where it has none; `release` gives it back.

    Args:
        model: The base.
        user: Who serves tenants of it.

    Raises:
        DeltaError: The model has no projections.
    """
    with _LOCK:
        found = getattr(model, _NAME, None)
        if found is None:
            found = Attachment(model)
            setattr(model, _NAME, found)
        found._users.add(user)
        return found
