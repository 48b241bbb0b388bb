"""The one seam between serving and whoever computes a delta's products: plain torch here, kernels elsewhere.

    kernel.resident_bytes(stored)                      # foretold from an artifact's header
    deltas = kernel.prepare(matrices, device)          # once a tenant: all its matrices, in the kernel's own form
    kernel.nbytes(deltas)                              # counted
    kernel.products(x, rows, names, [deltas, ...])     # at every step: sum_g U_g (s_g * (V_g^T x)) of each row's tenant

Several names in one call are weights that read the same x (q, k and v; gate and up), so that a kernel may fuse them.
What `prepare` returned is let go when its tenant has been dropped and no call uses it any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lib.delta_come.errors import DeltaError
from lib.delta_come.header import StoredMatrix
from lib.delta_come.stored import PackedMatrix

if TYPE_CHECKING:
    import torch


class DeltaKernel(Protocol):
    """What computes the products of many tenants' packed matrices."""

    def resident_bytes(self, matrices: Iterable[StoredMatrix]) -> int:
        """Return the bytes that `prepare` will keep of one tenant's matrices, all together."""

    def prepare(self, matrices: Iterable[PackedMatrix], device: "torch.device") -> Any:  # noqa: ANN401 - its own form
        """Return one tenant's matrices as this kernel reads them, in memory of their own on a device."""

    def nbytes(self, deltas: Any) -> int:  # noqa: ANN401
        """Return the bytes that a tenant's prepared matrices take."""

    def products(
        self, x: "torch.Tensor", rows: "torch.Tensor", names: Sequence[str], tenants: Sequence[Any]
    ) -> "list[torch.Tensor | None]":
        """Return the products for each weight, [rows, ..., m] in the dtype of x; None where no tenant changes it.

        Args:
            x: Activations [rows, ..., n].
            rows: int64 [rows], on the CPU: each row's place among the tenants; -1: none, its product is zero.
            names: Of the weights.
            tenants: What `prepare` returned for each tenant of the batch.
        """


def checked_kernel(kernel: DeltaKernel | None) -> DeltaKernel:
    """Return a kernel as it is, plain torch for None.

    Raises:
        DeltaError: It is no kernel, or the class of one.
    """
    if kernel is None:
        return TorchKernel()
    wanted = ("resident_bytes", "prepare", "nbytes", "products")
    if isinstance(kernel, type) or not all(callable(getattr(kernel, name, None)) for name in wanted):
        given = f"the class {kernel.__name__}" if isinstance(kernel, type) else repr(kernel)
        raise DeltaError(
            f"a kernel is None (plain torch), PackedKernel(), or an object with {', '.join(wanted)}; got {given}"
        )
    return kernel


class TorchKernel:
    """The specification: plain torch on any device, one bit group unpacked at a time and cached nowhere.

    Products are summed in float32 whatever the dtype of x.
    """

    def resident_bytes(self, matrices: Iterable[StoredMatrix]) -> int:
        """Return the bytes of the packed parts, and of each permutation once."""
        total, orders = 0, {}
        for stored in matrices:
            total += stored.layout.nbytes
            for place, factor in zip(stored.permutations, stored.layout.factors, strict=True):
                if place is not None:
                    orders[place] = factor.permutation_bytes
        return total + sum(orders.values())

    def prepare(self, matrices: Iterable[PackedMatrix], device: "torch.device") -> dict[str, PackedMatrix]:
        """Return copies by name, which outlive the file; what matrices share they still share."""
        copies: dict[tuple[Any, ...], tuple[torch.Tensor, torch.Tensor]] = {}

        def copied(tensor: "torch.Tensor") -> "torch.Tensor":
            place = (tensor.data_ptr(), tensor.shape, tensor.dtype)
            if place not in copies:
                # The source is kept beside its copy, so that no other tensor takes its address meanwhile.
                copies[place] = (tensor, tensor.to(device, copy=True))
            return copies[place][1]

        return {matrix.name: matrix.map(copied) for matrix in matrices}

    def nbytes(self, deltas: Mapping[str, PackedMatrix]) -> int:
        """Return the bytes of codes, scales, singular values and permutations, each tensor once."""
        tensors = {id(tensor): tensor for matrix in deltas.values() for tensor in matrix.tensors}
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors.values())

    def products(
        self,
        x: "torch.Tensor",
        rows: "torch.Tensor",
        names: Sequence[str],
        tenants: Sequence[Mapping[str, PackedMatrix]],
    ) -> "list[torch.Tensor | None]":
        """Return the products for each weight, one tenant after the other."""
        return [_products(x, rows, [deltas.get(name) for deltas in tenants]) for name in names]


def delta_product(x: "torch.Tensor", matrix: PackedMatrix) -> "torch.Tensor":
    """Return sum_g U_g (s_g * (V_g^T x)) of one matrix, float32 [..., m]: V first, then the singular values, then U.

    Args:
        x: Activations [..., n].
        matrix: The packed delta.
    """
    import torch

    from lib.delta_come.factors import values

    x = x.float()
    product = torch.zeros(*x.shape[:-1], matrix.layout.shape[0], device=x.device)
    for group in matrix.unpacked():
        hidden = x @ values(group.V).T * group.singular_values.float()
        product += hidden @ values(group.U).T
    return product


def _products(
    x: "torch.Tensor", rows: "torch.Tensor", matrices: Sequence[PackedMatrix | None]
) -> "torch.Tensor | None":
    outputs = next((matrix.layout.shape[0] for matrix in matrices if matrix is not None), None)
    if outputs is None:
        return None
    product = x.new_zeros(*x.shape[:-1], outputs)
    for place, matrix in enumerate(matrices):
        if matrix is not None and matrix.layout.groups:
            chosen = (rows == place).nonzero().flatten().to(x.device)
            product[chosen] = delta_product(x[chosen], matrix).to(x.dtype)
    return product
