"""The learning rates, and the sweep that they were chosen by.

`python -m lib.onebit.contest.tuning` over "narrow": 500 steps of 2 sequences of 128 tokens, a warm-up of 50, bf16,
seed 100, perplexity on 128 blocks of the validation text. No reported run has that seed, and none is measured on that
text. An earlier look at other rates, with 300 steps of 4 sequences and seed 0, gave the paper's form 98.2 at 4e-3 and
112.3 at 1e-2, and "both" 40.8 at 2e-3 and 40.1 at 4e-3. With the budget
above, "qat2" had 61.2 at 1e-3, and the paper's form 83.8 at 8e-3.

Forms that were not swept themselves take the rate of the form that they extend.
"""

SWEEP: dict[str, dict[float, float]] = {
    "onebit": {4e-3: 76.99},
    "qat2": {2e-3: 55.23, 4e-3: 54.47},
    "both": {4e-3: 40.99},
}

_EXTENDED = {
    "qat2_four_levels": "qat2",
    "sign_scalar_trained": "both",
    "no_norm": "onebit",
    "kept_latents": "onebit",
    "both_compensated": "both",
    "both_rank2": "both",
    "both_experts4": "both",
}


def best_rate(name: str) -> float:
    """Return the learning rate at which a trained method's validation perplexity, or its elder's, was lowest."""
    rates = SWEEP[_EXTENDED.get(name, name)]
    return min(rates, key=lambda rate: rates[rate])
