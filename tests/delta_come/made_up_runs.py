"""Made-up runs of compressed fine-tunes that do all that the paper claims, for the tests of judges."""

from dataclasses import replace

from lib.delta_come.claims import CLAIMS
from lib.delta_come.metrics import CompareAtEqualBytes, CompareWithLora
from lib.ledger import judge

BY_NUMBER = {claim.id.removeprefix("delta_come."): claim for claim in CLAIMS}
OTHERS = ("low_rank", "bitdelta", "bitdelta_trained")
PLACES = [f"{third} {columns}" for third in ("low", "middle", "high") for columns in ("all", "outliers")]
ERRORS = {"delta_come": 1.0, "gptq3": 2.0, "bitdelta_trained": 4.0, "low_rank": 5.0}


def ends(values, half=0.05):
    return {
        "low": {name: value - half for name, value in values.items()},
        "high": {name: value + half for name, value in values.items()},
    }


def run(base="llama", task="chains", seed=0, recovery=0.99, ahead=0.3, late=0.2, extra=0.0, half=0.04, **changes):
    """A run in which 8+3+2 does all that it claims."""
    R = {"delta_come": recovery} | dict.fromkeys(OTHERS, recovery - ahead)
    leads, lates = dict.fromkeys(OTHERS, ahead), dict.fromkeys(OTHERS, late)
    good = CompareAtEqualBytes(
        model="tiny pairs",
        model_parameters=300,
        base=base,
        task=task,
        style=task == "records",
        regime="large",
        seed=seed,
        items=500,
        ratio=1 / 16,
        budget=1000,
        ours="delta_come",
        base_accuracy=0.0,
        finetuned_accuracy=1.0,
        base_kl=2.0,
        recovery=R,
        recovery_low=ends(R, 0.01)["low"],
        recovery_high=ends(R, 0.01)["high"],
        kl={"delta_come": 0.02} | dict.fromkeys(OTHERS, 0.5),
        lead=leads,
        lead_low=ends(leads, half)["low"],
        lead_high=ends(leads, half)["high"],
        kl_lead=dict.fromkeys(OTHERS, 0.48),
        kl_lead_low=dict.fromkeys(OTHERS, 0.4),
        kl_lead_high=dict.fromkeys(OTHERS, 0.5),
        activation={f"{method} {place}": error for method, error in ERRORS.items() for place in PLACES},
        late_lead=lates,
        late_lead_low=ends(lates, half)["low"],
        late_lead_high=ends(lates, half)["high"],
        extra_drop=extra,
        extra_drop_low=extra - 0.02,
        extra_drop_high=extra + 0.02,
        cpu_seconds={},
    )
    return replace(good, **changes)


def seeds(**changes):
    """Three seeds that agree to the second digit."""
    made = [run(seed=seed, **changes) for seed in range(3)]
    return [
        replace(made[0], recovery=made[0].recovery | {"delta_come": made[0].recovery["delta_come"] + 0.001}),
        *made[1:],
    ]


def changed(of, name, **values):
    return replace(of, **{name: getattr(of, name) | values})


def lora(seed=0, ahead=0.3, shared=0.2, **changes):
    leads = {"delta_come": ahead, "delta_come_shared": shared}
    good = CompareWithLora(
        model="tiny pairs",
        model_parameters=300,
        base="llama",
        task="chains",
        regime="large",
        seed=seed,
        items=500,
        ratio=1 / 16,
        budget=1000,
        ours="delta_come",
        base_accuracy=0.0,
        finetuned_accuracy=1.0,
        base_kl=2.0,
        outside_bytes=100.0,
        lead=leads,
        lead_low=ends(leads)["low"],
        lead_high=ends(leads)["high"],
        learning_rate=1e-2,
        rates={"0.005": 0.7, "0.01": 0.9, "0.02": 0.8},
        mean_rank=4.0,
        steps=100,
        cpu_seconds={},
    )
    return replace(good, **changes)


def verdict(number, runs):
    return judge(BY_NUMBER[number], runs)


def status(number, runs):
    return verdict(number, runs).status


BOTH_TASKS = [*seeds(), *seeds(task="records", ahead=0.02)]
