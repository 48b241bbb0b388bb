"""The learning rates, and the sweep that they were chosen by.

`python -m lib.onebit.contest.tuning` measures this table anew, over "narrow": 500 steps of 2 sequences of 128 tokens, a
warm-up of 50, bf16, seed 100, perplexity on 128 blocks of the validation text. No reported run has that seed, and none
is measured on that text. Each form that starts or ends differently was swept until its best rate had a worse one on
both sides; the others take the rate of the form that they extend.
"""

SWEEP: dict[str, dict[float, float]] = {
    "onebit": {5e-4: 83.78, 1e-3: 76.11, 2e-3: 73.96, 4e-3: 76.99, 8e-3: 83.82},
    "qat2": {1e-3: 61.16, 2e-3: 55.23, 4e-3: 54.47, 8e-3: 60.04},
    "no_norm": {2.5e-4: 44.78, 5e-4: 44.06, 1e-3: 46.93, 2e-3: 53.09},
    "kept_latents": {2e-3: 63.74, 4e-3: 54.35, 1e-2: 54.56, 2e-2: 65.85},
    "both": {1e-3: 42.16, 2e-3: 40.58, 4e-3: 40.99, 8e-3: 42.34},
}

_EXTENDED = {
    "qat2_four_levels": "qat2",
    "sign_scalar_trained": "both",
    "both_compensated": "both",
    "both_rank2": "both",
    "both_experts4": "both",
}


def best_rate(name: str) -> float:
    """Return the learning rate at which a trained method's validation perplexity, or its elder's, was lowest."""
    rates = SWEEP[_EXTENDED.get(name, name)]
    return min(rates, key=lambda rate: rates[rate])
