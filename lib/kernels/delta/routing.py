"""Which token belongs to which tenant: tokens sorted by tenant and cut into tiles of one tenant each.

Computed once a step on the host and used by every layer. A tile is what one program of a kernel takes: up to
`tokens_a_tile` tokens of one tenant. Tenants without a token, and tokens of the base alone (−1), are in no tile, so
they cost nothing. For CUDA graphs reserve `tiles` and `copy_` the next step's routing into the captured one: tiles to
spare are of tenant −1, and their programs return at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TILE_SIZES = (4, 8, 16)


@dataclass(frozen=True)
class Routing:
    """Tiles of tokens.

    Attributes:
        tenants: int32 [tiles]; −1: no tile.
        tokens: int32 [tiles, tokens_a_tile]; −1: no token.
        count: Number of tokens.
        distinct: The tenants that have tokens, sorted; for checks without asking the device.
    """

    tenants: "torch.Tensor"
    tokens: "torch.Tensor"
    count: int
    distinct: tuple[int, ...]

    @classmethod
    def of(
        cls,
        tenants: "Sequence[int] | torch.Tensor",
        device: "torch.device | str" = "cpu",
        tokens_a_tile: int | None = None,
        tiles: int | None = None,
    ) -> "Routing":
        """Return the tiles for one tenant a token.

        Args:
            tenants: Integers of at least −1; a tensor on a GPU is waited for.
            device: Where the activations are.
            tokens_a_tile: 4, 8 or 16; by default the smallest that holds every tenant's tokens, if one does.
            tiles: How many to reserve; as many as needed by default.

        Raises:
            ValueError: A tenant is below −1, or more tiles are needed than reserved.
        """
        import torch

        listed = tenants.tolist() if isinstance(tenants, torch.Tensor) else list(tenants)
        if min(listed, default=0) < -1:
            raise ValueError(f"tenant {min(listed)}: a tenant is an index from 0 on, or −1 for the base alone")
        groups: dict[int, list[int]] = {}
        for token, tenant in enumerate(listed):
            if tenant >= 0:
                groups.setdefault(tenant, []).append(token)
        most = max(map(len, groups.values()), default=1)
        size = tokens_a_tile or next((size for size in TILE_SIZES if most <= size), TILE_SIZES[-1])
        owners, rows = [], []
        for tenant in sorted(groups):
            for first in range(0, len(groups[tenant]), size):
                part = groups[tenant][first : first + size]
                owners.append(tenant)
                rows.append(part + [-1] * (size - len(part)))
        spare = (len(owners) if tiles is None else tiles) - len(owners)
        if spare < 0:
            raise ValueError(f"{len(owners)} tiles of {size} tokens are needed, but {tiles} reserved: reserve more")
        owners, rows = owners + [-1] * spare, rows + [[-1] * size] * spare
        return cls(
            torch.tensor(owners, dtype=torch.int32, device=device),
            torch.tensor(rows, dtype=torch.int32, device=device).reshape(-1, size),
            len(listed),
            tuple(sorted(groups)),
        )

    @property
    def tokens_a_tile(self) -> int:
        """Tokens a tile."""
        return self.tokens.shape[1]
