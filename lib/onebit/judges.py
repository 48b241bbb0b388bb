"""From what the notebooks measured to verdicts on the paper's claims."""

from collections.abc import Sequence
from itertools import pairwise

from lib.ledger import Verdict, above, agrees, all_of, below, exact, no_violations
from lib.onebit.metrics import CountTheBits, SeparateSignAndValue


def average_bits(measured: Sequence[CountTheBits]) -> Verdict:
    """Judge C1: 1.0073 at 4096 x 4096, and every saved layer of exactly the predicted size."""
    off, layers = max(each.layers_off for each in measured), max(each.layers for each in measured)
    return all_of(
        average_at_4096=agrees(
            exact(measured[0].average_bits_4096, "from the bytes of a saved layer"), 1.0073, tolerance=0.00005
        ),
        layers_off_their_predicted_bytes=agrees(exact(off, f"of {layers} saved layers"), 0, tolerance=0),
    )


def model_sizes(measured: Sequence[CountTheBits]) -> Verdict:
    """Judge C2: LLaMA's shapes by computation, a real file by its size."""
    one = measured[0]
    shares = list(one.reductions.values())  # from the smallest model to the largest
    gain = min(larger - smaller for smaller, larger in pairwise(shares))
    excess = max(100 * abs(each.file_bytes / each.predicted_bytes - 1) for each in measured)
    return all_of(
        smallest_reduction=above(exact(min(shares), "computed from LLaMA's shapes, in %"), 90),
        gain_from_one_model_to_the_next_larger=above(exact(gain, "the smallest, in %"), 0),
        table_3=below(exact(one.table_3_deviation_gb, "largest difference from a printed size, in GB"), 0.05),
        file_on_disk=below(exact(excess, "difference from the predicted size, in %"), 1),
    )


def proposition_1(measured: Sequence[SeparateSignAndValue]) -> Verdict:
    """Judge C3: layer form and product differ by rounding alone."""
    matrices = measured[0].matrices
    basis = f"largest relative difference over {matrices} layers, float64"
    # The identity is exact, so only rounding is left: 1,536 terms of 1.1e-16 each stay below 2e-13.
    return below(exact(max(each.layer_deviation for each in measured), basis), 1e-12)


def inequalities(measured: Sequence[SeparateSignAndValue]) -> Verdict:
    """Judge C4: no matrix violates Lemma 1 or Proposition 2."""
    # The model's matrices are the same for every seed; the random ones are not.
    trials = measured[0].matrices + sum(each.random_matrices for each in measured)
    return all_of(
        lemma_1=no_violations(sum(each.lemma_1_violations for each in measured), trials, "matrices"),
        proposition_2=no_violations(sum(each.proposition_2_violations for each in measured), trials, "matrices"),
    )


def same_error(measured: Sequence[SeparateSignAndValue]) -> Verdict:
    """Judge the first half of C5: NMF reaches the error that SVD proves best."""
    basis = f"largest excess of NMF's relative squared error over SVD's, {measured[0].matrices} matrices"
    return below(exact(max(each.nmf_excess for each in measured), basis), 1e-6)
