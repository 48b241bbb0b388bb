"""One base model in memory, and any number of fine-tunes of it as packed deltas, mixed in one batch.

    served = attach(base_model, {"math": "math.safetensors", "code": "code.safetensors"})
    served.generate(input_ids, tenants=["math", None, "code"], max_new_tokens=32)      # None: the base itself
    served.add("chat", "chat.safetensors")
    served.drop("math")
    with served.rows(["chat", "code"]) as model:
        model(input_ids).logits

Each projection computes y = W_b x + sum_g U_g (s_g * (V_g^T x)) (section 3.3): the base's product once for the whole
batch, and each row's delta beside it. The base model is not changed; outside of these calls it is the base.

Left out: vocabularies of single tenants in `generate`'s own options (end-of-text tokens, bad words), which transformers
takes once for the whole batch; and tenants whose rotary settings differ from the base's, which are no weights.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lib.delta_come.attachment import attached
from lib.delta_come.base import check_base, check_settings, check_shapes
from lib.delta_come.errors import DeltaError
from lib.delta_come.hashes import model_digests
from lib.delta_come.product import DeltaKernel, checked_kernel
from lib.delta_come.routing import Routing
from lib.delta_come.tenants import Embeddings, Tenant, as_artifact, read_tenant

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from lib.delta_come.attachment import Attachment
    from lib.delta_come.tenants import Source


def attach(
    base_model: "PreTrainedModel",
    tenants: "Mapping[str, Source]",
    embeddings: Embeddings = "own",
    kernel: DeltaKernel | None = None,
    verify: bool = True,
) -> "ServedModel":
    """Return a base model that serves fine-tunes of it beside itself.

    Args:
        base_model: A model of transformers, on any device; it stays as it is.
        tenants: An artifact, its path, or a CompressedDelta for each name.
        embeddings: "own": tenants have the embedding and head that their artifact carries; "base": they share the
            base's.
        kernel: Who computes the products; plain torch where it is None.
        verify: Whether the base's weights are hashed (0.3 s for 135M) and held against each artifact.

    Raises:
        DeltaError: An artifact can't be read, or belongs to another base; or the kernel is none.
    """
    served = ServedModel(base_model, kernel, verify)
    try:
        for name, source in tenants.items():
            served.add(name, source, embeddings)
    except BaseException:
        served.detach()  # the base model stays as it was
        raise
    return served


class ServedModel:
    """A base model and its tenants; see the module. Several threads may use it, and add and drop tenants meanwhile.

    Others may serve the same base beside it, each its own tenants.

    Attributes:
        model: The base.
        kernel: Who computes the products of deltas.
    """

    def __init__(self, model: "PreTrainedModel", kernel: DeltaKernel | None = None, verify: bool = True) -> None:
        self.model, self.kernel = model, checked_kernel(kernel)
        self._tenants: dict[str, Tenant] = {}
        self._digests: dict[str, str] | None = None
        self._verify, self._lock = verify, threading.Lock()
        self._attachment: Attachment | None = attached(model, self)

    @property
    def tenants(self) -> dict[str, Tenant]:
        """The tenants by name."""
        return dict(self._tenants)

    def add(self, name: str, source: "Source", embeddings: Embeddings = "own") -> Tenant:
        """Take a tenant in; calls that run meanwhile are not touched.

        Args:
            name: What rows ask for it by.
            source: An artifact, its path, or a CompressedDelta.
            embeddings: As in `attach`.

        Raises:
            DeltaError: The name is taken, or the artifact can't be read or belongs to another base.
        """
        self._check_free(name)
        artifact = as_artifact(source)
        check_shapes(artifact, self.model)
        check_settings(artifact, self.model)
        if self._verify and artifact.header.base_hash:
            with self._lock:
                self._digests = self._digests or model_digests(self.model)
            check_base(artifact, self._digests)
        tenant = read_tenant(name, artifact, self.kernel, self.model.device, self.model.dtype, embeddings)
        with self._lock:
            self._check_free(name)  # again: another thread may have been faster
            self._attached().serve_own_tensors(tenant)
            self._tenants = self._tenants | {name: tenant}
        return tenant

    def drop(self, name: str) -> None:
        """Let a tenant go; rows of calls that run meanwhile are served to their end.

        Raises:
            DeltaError: There is none of that name.
        """
        with self._lock:
            self._tenant(name)
            self._tenants = {one: tenant for one, tenant in self._tenants.items() if one != name}

    def generate(self, input_ids: "torch.Tensor", tenants: Sequence[str | None], **options: Any) -> Any:  # noqa: ANN401
        """Return what the model's `generate` returns, each row continued by its own tenant.

        Args:
            input_ids: [rows, T].
            tenants: The tenant of each row; None: the base.
            options: As `generate` takes them.

        Raises:
            DeltaError: A tenant is unknown, or rows and tenants differ in number.
        """
        self._check_rows(input_ids, tenants)
        with self._routed(tenants, repeats=True):
            return self.model.generate(input_ids, **options)

    def __call__(self, input_ids: "torch.Tensor", tenants: Sequence[str | None], **options: Any) -> Any:  # noqa: ANN401
        """Return what the model returns, each row computed by its own tenant. Arguments and errors as `generate`."""
        self._check_rows(input_ids, tenants)
        with self._routed(tenants, repeats=False):
            return self.model(input_ids, **options)

    @contextmanager
    def rows(self, tenants: Sequence[str | None]) -> "Iterator[PreTrainedModel]":
        """Let the rows of every batch in this block, and this thread, belong to tenants; yields the model.

        Raises:
            DeltaError: A tenant is unknown; or, inside, a batch has another number of rows.
        """
        with self._routed(tenants, repeats=False):
            yield self.model

    def detach(self) -> "PreTrainedModel":
        """Let all tenants go and return the base model, free of hooks unless another served model shares it.

        Afterwards this one serves no more: `attach` again.
        """
        with self._lock:
            if self._attachment is not None:
                self._attachment.release(self)
            self._attachment, self._tenants = None, {}
        return self.model

    @contextmanager
    def _routed(self, tenants: Sequence[str | None], repeats: bool) -> Iterator[None]:
        rows = [None if name is None else self._tenant(name) for name in self._named(tenants)]
        with self._attached().routed(Routing(rows, self.kernel, repeats)):
            yield

    def _attached(self) -> "Attachment":
        if self._attachment is None:
            raise DeltaError("this served model was detached from its base: attach the tenants again")
        return self._attachment

    def _named(self, tenants: Sequence[str | None]) -> Sequence[str | None]:
        if isinstance(tenants, str) or not tenants:
            raise DeltaError(f"tenants are a list with one name (or None) a row, got {tenants!r}")
        return tenants

    def _check_rows(self, input_ids: "torch.Tensor", tenants: Sequence[str | None]) -> None:
        if len(self._named(tenants)) != input_ids.shape[0]:
            raise DeltaError(
                f"input_ids has {input_ids.shape[0]} rows, but {len(tenants)} tenants were named: {tenants}; name one "
                "tenant (or None for the base) for each row"
            )

    def _tenant(self, name: str) -> Tenant:
        if name not in self._tenants:
            known = ", ".join(sorted(self._tenants)) or "none"
            raise DeltaError(f"there is no tenant {name!r}; there are: {known} (and None for the base)")
        return self._tenants[name]

    def _check_free(self, name: str) -> None:
        if name in self._tenants:
            raise DeltaError(f"there is a tenant {name!r} already: drop it first, or take another name")
