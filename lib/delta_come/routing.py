"""Which tenant each row of a batch belongs to, while one call of a served model runs.

A routing holds its tenants itself: one that is dropped meanwhile serves its rows to the end of the call. Nothing of it
outlives the call, and each thread has its own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lib.delta_come.errors import DeltaError
from lib.delta_come.product import DeltaKernel
from lib.delta_come.tenants import OwnTensor, Tenant

if TYPE_CHECKING:
    import torch

BASE = -1  # the place of a row that is served by the base alone

# Projections of one module that read the same input, so that one call computes the products of all.
_SLICES = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class Routing:
    """The tenants of one batch.

    Args:
        rows: The tenant of each row, None for the base.
        kernel: Who computes the products.
        repeats: Whether a batch may hold every row several times over, one after the other, as `generate` does for
            beams and several returned sequences.

    Attributes:
        tenants: Each tenant of the batch once.
        places: int64 [rows], on the CPU: each row's place in `tenants`, or BASE.
    """

    def __init__(self, rows: Sequence[Tenant | None], kernel: DeltaKernel, repeats: bool = False) -> None:
        import torch

        self.tenants = tuple({id(tenant): tenant for tenant in rows if tenant is not None}.values())
        numbers = {id(tenant): place for place, tenant in enumerate(self.tenants)} | {id(None): BASE}
        self.places = torch.tensor([numbers[id(tenant)] for tenant in rows], dtype=torch.long)
        self._kernel, self._repeats = kernel, repeats
        # Products of weights that read the same input as one asked for before, and that input.
        self._ahead: tuple[torch.Tensor | None, dict[str, torch.Tensor | None]] = (None, {})

    def delta(self, name: str, x: "torch.Tensor") -> "torch.Tensor | None":
        """Return the product of every row with its tenant's delta of a weight; None: no tenant here has one.

        Args:
            name: The weight's name.
            x: The layer's input, [rows, ..., n].
        """
        source, ahead = self._ahead
        if source is not x or name not in ahead:
            names, deltas = same_input(name), [tenant.deltas for tenant in self.tenants]
            products = self._kernel.products(x, self.rows_of(x, name), names, deltas)
            ahead = dict(zip(names, products, strict=True))
        product = ahead.pop(name)
        self._ahead = (x, ahead) if ahead else (None, {})
        return product

    def own(self, name: str) -> list[tuple[int, OwnTensor]]:
        """Return place and tensor of each tenant that has a tensor of its own of that name."""
        return [(place, tenant.own[name]) for place, tenant in enumerate(self.tenants) if name in tenant.own]

    def rows_of(self, x: "torch.Tensor", name: str) -> "torch.Tensor":
        """Return each row's place for a tensor [rows, ...], int64 [rows].

        Raises:
            DeltaError: It has another number of rows than tenants were named for.
        """
        given, found = len(self.places), x.shape[0]
        if found == given:
            return self.places
        if not self._repeats or found % given:
            raise DeltaError(
                f"{name} gets a batch of {found} rows, but tenants were named for {given}: name one tenant (or None) "
                "for each row"
            )
        return self.places.repeat_interleave(found // given)


def same_input(name: str) -> tuple[str, ...]:
    """Return the names of the weights that read the same input as one of a given name, itself included."""
    module, kind = name.removesuffix(".weight").rsplit(".", 1)
    kinds = next((kinds for kinds in _SLICES if kind in kinds), (kind,))
    return tuple(f"{module}.{one}.weight" for one in kinds)
