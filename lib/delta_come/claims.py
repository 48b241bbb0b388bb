"""What Delta-CoMe claims (Ping et al., NeurIPS 2024, arXiv 2406.08903), and how each claim is judged here.

C1 is judged on notebook 01, C17 on 02, C6, C7 and C13 on 03, C10 on 05, C14 and C15 on 06, the others on 04. What is
not measured yet says what it waits for. C16 is about vision-language models, of which there is none here.
"""

from lib.delta_come import (
    judges_activations,
    judges_bits,
    judges_limits,
    judges_quality,
    judges_serving,
    judges_spectrum,
)
from lib.delta_come.metrics import (
    ChooseTheBits,
    CompareAtEqualBytes,
    CompareWithLora,
    CompressOneLayer,
    LookAtTheSpectrum,
    ServeManyTenants,
    ServeManyTenantsOnGpu,
)
from lib.ledger import Claim, Part

_S = "SmolLM2-135M fine-tuned here"
_T = "tiny pairs, several seeds"
_BITS = "SmolLM2's last 3 of 30 blocks, ranks 2 and 32, scales a row; tiny pairs, leading ranks by shares of the budget"
_PLAN = "8+3+2 as the paper stores it where that fits (SmolLM2), with a scale a rank where not (tiny pairs)"
_PAPER_7B = "7B models, averages of Table 3"
_EQUAL_BYTES = "needs scores of compressed fine-tunes at equal bytes"
_PLANS = "needs one fine-tune compressed with many plans"
_SERVING = "needs a run of notebook 06"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="delta_come.C1",
        sentence="The singular values of what a fine-tune changes have a long tail: a few are large, none is nothing.",
        source="Fig. 1",
        paper_value=None,
        unit="% of energy or directions",
        paper_scale="one 4096-wide delta, a curve without numbers",
        scale=f"{_S} and {_T}, beside the same deltas with random signs",
        parts=(Part("spectrum", LookAtTheSpectrum, judges_spectrum.long_tailed, "needs a run of notebook 01"),),
    ),
    Claim(
        id="delta_come.C2",
        sentence="Mixed precision 8+3+2 at 1/16 of the size is close to the uncompressed fine-tune.",
        source="Table 3",
        paper_value=(53.2, 53.5),
        unit="recovered share, or % of the KL",
        paper_unit="average score",
        paper_scale=f"{_PAPER_7B}: Delta-CoMe, fine-tune (53.8 when its eight numbers are averaged again)",
        scale=f"recovered share of the gain, {_S} and {_T}; {_PLAN}",
        parts=(Part("recovery", CompareAtEqualBytes, judges_quality.close_to_finetune, _EQUAL_BYTES),),
    ),
    Claim(
        id="delta_come.C3",
        sentence="It beats an fp16 low-rank approximation of the same size.",
        source="Table 3",
        paper_value=(53.2, 47.8),
        unit="recovered share, or nats, ahead",
        paper_unit="average score",
        paper_scale=f"{_PAPER_7B}: Delta-CoMe, low-rank",
        scale=f"recovered share and KL, {_S} and {_T}; {_PLAN}",
        parts=(Part("against low rank", CompareAtEqualBytes, judges_quality.beats_low_rank, _EQUAL_BYTES),),
    ),
    Claim(
        id="delta_come.C4",
        sentence="It beats BitDelta, one bit a weight, at the same size.",
        source="Table 3",
        paper_value=(53.2, 49.3),
        unit="recovered share, or nats, ahead",
        paper_unit="average score",
        paper_scale=f"{_PAPER_7B}: Delta-CoMe, BitDelta",
        scale=f"BitDelta without and, on tiny pairs, with trained scales, {_S} and {_T}; {_PLAN}",
        parts=(Part("against BitDelta", CompareAtEqualBytes, judges_quality.beats_bitdelta, _EQUAL_BYTES),),
    ),
    Claim(
        id="delta_come.C5",
        sentence="The lead over BitDelta is large on math and code and about nil on chat.",
        source="Table 3, §5.2",
        paper_value=(8.0, 9.8, 0.5),
        unit="points",
        paper_scale="7B, Delta-CoMe minus BitDelta: GSM8K, HumanEval, SafetyBench",
        scale=f"tasks with a right result against a format and style task, {_S} and {_T}",
        parts=(Part("lead by task", CompareAtEqualBytes, judges_quality.lead_by_task, _EQUAL_BYTES),),
    ),
    Claim(
        id="delta_come.C6",
        sentence="Three precisions beat two, and two beat one, at the same size.",
        source="Table 2, §5.1",
        paper_value=None,
        unit="times",
        paper_scale="WizardMath-7B on GSM8K; the order only",
        scale=_BITS,
        parts=(Part("number of precisions", ChooseTheBits, judges_bits.more_precisions_are_better, _PLANS),),
    ),
    Claim(
        id="delta_come.C7",
        sentence="Of single precisions, 3 bits is the best.",
        source="Table 2, §5.1",
        paper_value=3.0,
        unit="times the KL",
        paper_unit="bits",
        paper_scale="WizardMath-7B on GSM8K",
        scale=f"16, 8, 4, 3 and 2 bits; {_BITS}",
        parts=(Part("single precisions", ChooseTheBits, judges_bits.three_bits_are_best, _PLANS),),
    ),
    Claim(
        id="delta_come.C8",
        sentence="Activations err least with three precisions, then with one, then with BitDelta and low rank.",
        source="Table 8, §6.1",
        paper_value=None,
        unit="times the error",
        paper_scale="WizardMath-7B on GSM8K, by depth; the order only",
        scale=f"the task's inputs, by depth and for outlier columns, {_T} and one of SmolLM2-135M",
        parts=(
            Part(
                "activation error",
                CompareAtEqualBytes,
                judges_activations.activations_in_order,
                "needs activations of compressed fine-tunes",
            ),
        ),
    ),
    Claim(
        id="delta_come.C9",
        sentence="It works on other backbones.",
        source="Table 5, §5.3",
        paper_value=None,
        unit="recovered share, or nats, ahead",
        paper_scale="Mistral-7B and Llama-3-8B; the order only",
        scale="tiny bases: one with grouped keys and a head of its own, one with biases, Qwen2",
        parts=(
            Part(
                "other shapes",
                CompareAtEqualBytes,
                judges_quality.on_other_bases,
                _EQUAL_BYTES + ", of several shapes",
            ),
        ),
    ),
    Claim(
        id="delta_come.C10",
        sentence="Fine-tuning fully and compressing beats training a LoRA of the same size.",
        source="Table 6, §5.4",
        paper_value=(41.9, 29.8, 43.0),
        unit="recovered share ahead",
        paper_unit="average score",
        paper_scale="7B, math and code: Delta-CoMe, LoRA, uncompressed",
        scale=f"LoRA of equal bytes on the same data, best of a few learning rates, {_S} and {_T}; {_PLAN}",
        parts=(Part("against LoRA", CompareWithLora, judges_limits.beats_lora, "needs LoRAs of equal bytes"),),
    ),
    Claim(
        id="delta_come.C11",
        sentence="It decays slowly: fine to 1/20 of the size, and at 1/32 still above the others at 1/16.",
        source="Table 11, App. D",
        paper_value=45.6,
        unit="recovered share",
        paper_unit="% of GSM8K",
        paper_scale="WizardMath-7B; BitDelta at 1/16, which Delta-CoMe at 1/32 exceeds",
        scale=f"1/16, 1/20 and 1/32, {_S} and {_T}, where half of the gain or more is recovered at 1/16",
        parts=(Part("decay", CompareAtEqualBytes, judges_limits.decays_slowly, _EQUAL_BYTES + ", at many ratios"),),
    ),
    Claim(
        id="delta_come.C12",
        sentence="On a 4-bit backbone it loses no more than on a 16-bit one.",
        source="Table 10, App. C",
        paper_value=None,
        unit="recovered share",
        paper_scale="7B; no numbers known here",
        scale="a base rounded to a 4-bit grid against the base as it is, where both keep half of the gain or more",
        parts=(
            Part(
                "4-bit backbone",
                CompareAtEqualBytes,
                judges_limits.keeps_on_4_bits,
                "needs compressed fine-tunes on both kinds of base",
            ),
        ),
    ),
    Claim(
        id="delta_come.C13",
        sentence="A genetic search for the bits beats the greedy choice, and costs much more.",
        source="Table 9, App. B",
        paper_value=None,
        unit="times, or % of the gain",
        paper_scale="7B; the order only",
        scale=f"genetic search against greedy choice; {_BITS}",
        parts=(Part("search", ChooseTheBits, judges_bits.searching_is_better, _PLANS + ", searched and greedy"),),
    ),
    Claim(
        id="delta_come.C14",
        sentence="Over ten times less memory and disk: 50 fine-tunes of a 7B model on one 80 GB GPU.",
        source="Table 7, §5.5",
        paper_value=10.0,
        unit="times",
        paper_scale="Llama-2-7B; out of memory from 8 uncompressed models on",
        scale="SmolLM2-135M: files, and 50 tenants counted from layouts with a 16-bit base; a 7B model by arithmetic",
        parts=(
            Part("disk", ServeManyTenants, judges_serving.saves_disk, _SERVING),
            Part("memory", ServeManyTenants, judges_serving.saves_memory, _SERVING),
            Part("Llama-2-7B by arithmetic", ServeManyTenants, judges_serving.fits_one_card, _SERVING),
        ),
    ),
    Claim(
        id="delta_come.C15",
        sentence="The Triton kernel is about three times as fast as plain PyTorch at every batch and width.",
        source="Fig. 3, §5.5",
        paper_value=3.0,
        unit="times",
        paper_scale="an A100; curves",
        scale="a GPU at Llama-2-7B's layer shapes; notebook 06 times a CPU too, which does not decide",
        parts=(Part("speed", ServeManyTenantsOnGpu, judges_serving.faster, _SERVING + " on a GPU"),),
    ),
    Claim(
        id="delta_come.C16",
        sentence="It works for vision-language models.",
        source="Table 3",
        paper_value=(61.7, 58.5),
        unit="%",
        paper_scale="LLaVA-v1.5-7B on GQA and TextVQA; uncompressed 62.0 and 58.2",
        scale="out of scope",
        parts=(Part("vision", None, None, "needs a vision-language model, of which none is packaged"),),
    ),
    Claim(
        id="delta_come.C17",
        sentence="It needs no training and is deterministic.",
        source="checklist, item 7",
        paper_value=None,
        unit="differing bytes",
        paper_scale="an argument",
        scale="each pair compressed twice, tiny ones and one of SmolLM2-135M",
        parts=(Part("determinism", CompressOneLayer, judges_spectrum.deterministic, "needs a run of notebook 02"),),
    ),
)
