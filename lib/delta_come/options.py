"""How a delta is compressed, apart from its plan."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lib.delta_come.errors import DeltaError
from lib.delta_come.grid import GridOptions
from lib.delta_come.plan import Storage

PAPER = "8:2,3:32,2:rest"  # the paper's plan everywhere (section 5.1)
SHARES = "8:0.8%,3:4.7%,2:rest"  # the same shares of the budget at any width


@dataclass(frozen=True)
class CompressOptions:
    """The defaults are the paper's method; the last five switches are ways to do better, or worse.

    Attributes:
        quantiser: "gptq" (needs calibration text) or "rtn", rounding to the nearest.
        group_size: Values that share a scale: along the inputs for V, along the ranks for U.
        symmetric: Grids without stored zero points.
        act_order: GPTQ takes the largest inputs first.
        static_groups: GPTQ's groups are fitted beforehand in natural order, so that no permutation is stored.
        damping: Share of the mean of the Hessian's diagonal that is added to it.
        clip: Ranges of grids are shrunk where that lowers the squared error.
        rank_scales: One scale and zero point for each rank of U instead of one for each row and 128 ranks. A scale of
            a rank can be folded into its singular value.
        resolve_u: U is fitted again, by least squares on the calibration inputs, to what V became when quantised.
        whiten: The SVD is that of dW C^(1/2), C the inputs' second moments: truncation is then optimal for outputs.
        repeated_calibration: As in the authors' code: widths are done one after the other through a whole block, and
            after each the calibration data pass through the block once more before they reach the next block.
    """

    quantiser: Literal["gptq", "rtn"] = "gptq"
    group_size: int = 128
    symmetric: bool = False
    act_order: bool = True
    static_groups: bool = False
    damping: float = 0.01
    clip: bool = False
    rank_scales: bool = False
    resolve_u: bool = False
    whiten: bool = False
    repeated_calibration: bool = False

    def __post_init__(self) -> None:
        if self.quantiser not in ("gptq", "rtn"):
            raise DeltaError(f"the quantiser is 'gptq' or 'rtn', got {self.quantiser!r}")
        if self.group_size < 1:
            raise DeltaError(f"a group has at least one column, got {self.group_size}")
        if not 0 <= self.damping < 1:
            raise DeltaError(f"damping is a share from 0 to below 1, such as 0.01, got {self.damping}")
        if self.repeated_calibration and (self.whiten or self.resolve_u):
            raise DeltaError("repeated_calibration is the authors' code as it was: leave whiten and resolve_u off")

    @property
    def grid(self) -> GridOptions:
        """The grids' part."""
        return GridOptions(self.group_size, self.symmetric, self.clip)

    @property
    def storage(self) -> Storage:
        """What is stored beside the codes."""
        permuted = self.quantiser == "gptq" and self.act_order and not self.static_groups
        return Storage(self.group_size, self.symmetric, permuted, rank_scales=self.rank_scales)

    @property
    def needs_inputs(self) -> bool:
        """Whether it works on calibration inputs."""
        return self.quantiser == "gptq" or self.whiten or self.resolve_u

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)
