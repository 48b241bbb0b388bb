"""Verdicts on serving: C14 and C15, from runs of notebook 06.

The paper does not say whose embeddings its 50 models have. Both readings are judged: with the base's, and with each
tenant's own, which a fine-tune of all weights has. What saves something, but less than claimed, holds in direction.
Savings in memory are counted from the layouts of a base in 16 bits; what a process really grew by is held against that
forecast. C15 is about a Triton kernel, so it is judged on runs on a GPU alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lib.delta_come.metrics import ServeManyTenants, ServeManyTenantsOnGpu
from lib.ledger import Status, Verdict, above, agrees, all_of, below, exact, not_measured, over_seeds

Runs = Sequence[ServeManyTenants]

TENANTS, TIMES, KERNEL_TIMES = 50, 10, 3  # of the paper
CARD_GB, UNCOMPRESSED_GB = 80, 673.8  # one card as it is sold, what it has beyond is for caches; 50 models in 16 bits
EMBEDDINGS = {"base": "the base's embeddings", "own": "embeddings of each tenant"}
FORECAST_TOLERANCE = 0.05
_SEEN_IN_A_PROCESS = 1e8  # bytes; less than that drowns in what a process allocates and frees meanwhile
_COUNTED = f"{TENANTS} tenants, counted from layouts with a base in 16 bits"
_ROUNDING = 1e-3  # of a delta's effect, in fp32


def saves_disk(measured: Runs) -> Verdict:
    """Judge C14 on disk: the model in 16 bits over the artifact's file."""
    return all_of(**{
        f"with {EMBEDDINGS[whose]}": above(
            exact(min(run.disk_saving[whose] for run in measured), "from files"), TIMES, no_effect=1
        )
        for whose in EMBEDDINGS
    })  # fmt: skip


def saves_memory(measured: Runs) -> Verdict:
    """Judge C14 in memory: 50 models over a base with 50 tenants, and the process' growth against the forecast."""
    runs = [run for run in measured if run.tenants >= TENANTS]
    if not runs:
        return not_measured(f"needs {TENANTS} tenants at once, at most {max(run.tenants for run in measured)} were")
    verdicts = {
        f"with {EMBEDDINGS[whose]}": above(
            exact(min(run.memory_saving[whose] for run in runs), _COUNTED),
            TIMES,
            no_effect=1,
        )
        for whose in EMBEDDINGS
    }
    large = [run for run in runs if run.forecast_bytes >= _SEEN_IN_A_PROCESS]
    growth = over_seeds([run.added_bytes / run.forecast_bytes for run in large], "run") if large else None
    growth = growth and replace(growth, basis=f"measured in one process, {growth.basis}")
    verdicts["growth of the process over the forecast"] = (
        agrees(growth, 1, FORECAST_TOLERANCE)
        if growth
        else not_measured("needs tenants that a process' memory can tell, in all 100 MB or more")
    )
    return all_of(**verdicts)


def fits_one_card(measured: Runs) -> Verdict:
    """Judge C14's 50 fine-tunes of Llama-2-7B, by arithmetic: no such model was loaded."""
    run = measured[0]
    verdicts = {
        f"with {EMBEDDINGS[whose]}, GB": below(
            exact(run.llama_gigabytes[whose], "arithmetic"), CARD_GB, no_effect=UNCOMPRESSED_GB
        )
        for whose in EMBEDDINGS
    }
    verdicts |= {
        f"a file with {EMBEDDINGS[whose]}, times smaller": above(
            exact(run.llama_disk_saving[whose], "arithmetic"), TIMES, no_effect=1
        )
        for whose in EMBEDDINGS
    }
    return all_of(**verdicts)


def faster(measured: Sequence[ServeManyTenantsOnGpu]) -> Verdict:
    """Judge C15: the case that gains least. A wrong product is not a fast one, so the error counts too."""
    error = exact(max(run.largest_error for run in measured), "mixed batches against merged models")
    return all_of(
        the_batch_and_width_that_gain_least=_least([run.gpu_speedup for run in measured]),
        largest_error_of_logits=below(error, _ROUNDING),
    )


def _least(speedups: Sequence[Mapping[str, float]]) -> Verdict:
    """Judge the least speed; a case in which the kernel has no finite time has speed 0 and fails by itself."""
    lost = sorted({case for each in speedups for case, speed in each.items() if not speed > 0})
    if lost or not all(speedups):
        return Verdict(Status.FAILS, f"the kernels have no time in {'; '.join(lost) or 'any case'}", 0.0)
    return above(over_seeds([min(each.values()) for each in speedups], "run"), KERNEL_TIMES, no_effect=1)
