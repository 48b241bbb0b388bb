"""What OneBit claims (Xu et al., NeurIPS 2024, arXiv 2402.11295v6), and how each claim is judged here.

C1-C4 and the first half of C5 are judged on notebooks 01 and 02, the second half, C6 and C11-C16 on 04, C17 on 06. The
others are about trained students and are listed with what they wait for.
"""

from lib.ledger import Claim, Part
<<<<<<< HEAD
from lib.onebit import judges, judges_training
from lib.onebit.metrics import (
    CompareStartsAndLosses,
=======
from lib.onebit import judges, judges_quality
from lib.onebit.metrics import (
    CompareAtEqualBits,
>>>>>>> nb05
    CountTheBits,
    MultiplyBySigns,
    MultiplyBySignsOnGpu,
    SeparateSignAndValue,
)

_SMALL = "SmolLM2-135M-Instruct (dequantised 4-bit weights)"
_STUDENTS = "needs trained students: "
<<<<<<< HEAD
_COMPARED = "needs a run of notebook 04"
=======
_QUALITY = "needs a run of notebook 05"
>>>>>>> nb05

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="onebit.C1",
        sentence="A linear layer kept as signs and two fp16 vectors takes about 1.007 bits a parameter.",
        source="App. A.7",
        paper_value=1.0073,
        unit="bits",
        paper_scale="4096 × 4096 layer",
        scale="saved files of layers, 4096 × 4096 among them",
        parts=(Part("average bits", CountTheBits, judges.average_bits),),
    ),
    Claim(
        id="onebit.C2",
        sentence="A whole model shrinks by over 90 % against fp16, and a larger one shrinks more.",
        source="Table 3",
        paper_value=(90.4, 91.5, 92.5, 93.4),
        unit="%",
        paper_scale="LLaMA-7B, 13B, 30B, 65B",
        scale=f"LLaMA's shapes, and a packed file of {_SMALL}",
        parts=(Part("model size", CountTheBits, judges.model_sizes),),
    ),
    Claim(
        id="onebit.C3",
        sentence="The decomposition is the layer: scaling inputs and outputs equals multiplying by sign(W) * h g^T.",
        source="Proposition 1, App. A.1",
        paper_value=0.0,
        unit="relative difference",
        paper_scale="a proof",
        scale=_SMALL,
        parts=(Part("Proposition 1", SeparateSignAndValue, judges.proposition_1),),
    ),
    Claim(
        id="onebit.C4",
        sentence="Keeping the signs and a rank-1 fit of |W| is never worse than a rank-1 fit of W itself.",
        source="Lemma 1 and Proposition 2, App. A.1",
        paper_value=0.0,
        unit="violations",
        paper_scale="a proof",
        scale=f"{_SMALL}, and random matrices",
        parts=(Part("Lemma 1 and Proposition 2", SeparateSignAndValue, judges.inequalities),),
    ),
    Claim(
        id="onebit.C5",
        sentence="NMF and SVD both serve for the rank-1 step; training from NMF converges faster.",
        source="§5.3, Fig. 5",
        paper_value=None,
        unit="relative squared error; loss over loss",
        paper_scale="LLaMA-7B, curves without numbers",
        scale=f"{_SMALL}; small students, at least 3 seeds",
        parts=(
            Part("equal error", SeparateSignAndValue, judges.same_error),
            Part("faster training", CompareStartsAndLosses, judges_training.faster_from_nmf, _COMPARED),
        ),
    ),
    Claim(
        id="onebit.C6",
        sentence="At equal budget a student that starts from SVID beats one that copies weights or draws random signs.",
        source="§5.3, Fig. 5",
        paper_value=None,
        unit="times",
        paper_scale="LLaMA-7B, curves without numbers; no random signs",
        scale="small students, at least 3 seeds",
        parts=(Part("start", CompareStartsAndLosses, judges_training.best_start, _COMPARED),),
    ),
    Claim(
        id="onebit.C7",
        sentence="At one bit a weight OneBit beats 2-bit GPTQ, LLM-QAT and OmniQuant without groups.",
        source="Tables 2 and 4",
        paper_value=(10.19, 1900.0, 710.0, 15.34),
        unit="perplexity",
        paper_scale="LLaMA-7B on WikiText2: OneBit, GPTQ, LLM-QAT, OmniQuant",
        scale="small students against 2-bit baselines of the same model",
        parts=(Part("perplexity", CompareAtEqualBits, judges_quality.beats_two_bits, _QUALITY),),
    ),
    Claim(
        id="onebit.C8",
        sentence="OneBit keeps at least 81 % of the unquantised model's zero-shot accuracy.",
        source="abstract, Tables 2 and 4",
        paper_value=(80.1, 84.2),
        unit="%",
        paper_scale="range over six models of 1.3B to 13B",
        scale="small students: next tokens, and choosing the true continuation of four",
        parts=(Part("accuracy", CompareAtEqualBits, judges_quality.keeps_accuracy, _QUALITY),),
    ),
    Claim(
        id="onebit.C9",
        sentence="Perplexity grows to about 1.55 to 1.8 times that of the fp16 model.",
        source="Tables 2 and 4",
        paper_value=(1.55, 1.80),
        unit="times",
        paper_scale="range over six models, WikiText2 and C4",
        scale="small students on held-out text",
        parts=(Part("perplexity ratio", CompareAtEqualBits, judges_quality.keeps_perplexity, _QUALITY),),
    ),
    Claim(
        id="onebit.C10",
        sentence="The gap to fp16 narrows as models grow.",
        source="§4.2, Table 2",
        paper_value=(-0.47, -1.15),
        unit="perplexity",
        paper_scale="C4, from LLaMA-7B to 13B: fp16, OneBit",
        scale="three sizes of small students",
        parts=(Part("gap by size", CompareAtEqualBits, judges_quality.gap_narrows, _QUALITY),),
    ),
    Claim(
        id="onebit.C11",
        sentence="Matching hidden states improves on matching logits alone.",
        source="Table 6",
        paper_value=0.756,
        unit="perplexity over that with logits only",
        paper_scale="LLaMA-7B on WikiText2: 10.19 against 13.48",
        scale="small students, 3 seeds",
        parts=(Part("hidden states", CompareStartsAndLosses, judges_training.hidden_states_help, _COMPARED),),
    ),
    Claim(
        id="onebit.C12",
        sentence="Weighting the hidden-state loss 1 or 10 makes little difference.",
        source="Table 6",
        paper_value=1.019,
        unit="perplexity over that with weight 1",
        paper_scale="LLaMA-7B on WikiText2: 10.38 against 10.19",
        scale="small students, 3 seeds",
        parts=(Part("weight of the loss", CompareStartsAndLosses, judges_training.weight_matters_little, _COMPARED),),
    ),
    Claim(
        id="onebit.C13",
        sentence="Matching attention maps as well makes training diverge.",
        source="Table 6",
        paper_value=None,
        unit="share of runs; perplexity over perplexity",
        paper_scale="LLaMA-7B in fp16: not a number",
        scale="small students in fp32 and bf16",
        parts=(Part("attention maps", CompareStartsAndLosses, judges_training.attention_diverges, _COMPARED),),
    ),
    Claim(
        id="onebit.C14",
        sentence="The value vectors keep training stable over learning rates at which BitNet's form is not.",
        source="§5.2, App. A.5, Fig. 6",
        paper_value=None,
        unit="diverged runs; spread of the loss",
        paper_scale="LLaMA-7B, 4e-4 to 15e-4; curves of BitNet only",
        scale="small students, five learning rates over a decade",
        parts=(Part("learning rates", CompareStartsAndLosses, judges_training.stable_rates, _COMPARED),),
    ),
    Claim(
        id="onebit.C15",
        sentence="LayerNorm after each quantised layer keeps activations from overflowing.",
        source="§5.3",
        paper_value=None,
        unit="share of values; size over size",
        paper_scale="LLaMA, no numbers",
        scale="small students with and without it",
        parts=(Part("overflow", CompareStartsAndLosses, judges_training.no_overflow, _COMPARED),),
    ),
    Claim(
        id="onebit.C16",
        sentence="The value vectors give a layer's outputs their size back.",
        source="App. A.5",
        paper_value=None,
        unit="ratio of standard deviations",
        paper_scale="an argument",
        scale="SmolLM2's layers on real activations",
        parts=(Part("output size", CompareStartsAndLosses, judges_training.size_restored, _COMPARED),),
    ),
    Claim(
        id="onebit.C17",
        sentence="Weights of ±1 make inference faster and move fewer bytes.",
        source="§1, §5.1",
        paper_value=None,
        unit="times",
        paper_scale="an argument, never timed",
        scale="kernels against the fastest of dense fp32 and bf16: a CPU up to 4096 × 4096, a GPU beyond",
        parts=(
            Part("speed on a CPU", MultiplyBySigns, judges.cpu_speed, "needs a run of notebook 06"),
            Part("bytes", MultiplyBySigns, judges.bytes_moved, "needs a run of notebook 06"),
            Part("speed on a GPU", MultiplyBySignsOnGpu, judges.gpu_speed, "needs a GPU"),
        ),
    ),
    Claim(
        id="onebit.C18",
        sentence="OneBit reaches the quality of an fp16 model at about a fifth of its size.",
        source="Fig. 4",
        paper_value=0.22,
        unit="times the size",
        paper_scale="LLaMA and Pythia on WikiText2",
        scale="small students against smaller fp16 models trained on the same text",
        parts=(Part("frontier", CompareAtEqualBits, judges_quality.size_for_quality, _QUALITY),),
    ),
    Claim(
        id="onebit.C19",
        sentence="Quantising costs under 2 % of what pre-training cost.",
        source="App. A.6",
        paper_value=1.63,
        unit="%",
        paper_scale="LLaMA-7B: 1,344 of 82,432 GPU-hours",
        scale="tokens of distillation against tokens of pre-training",
        parts=(Part("cost", CompareAtEqualBits, judges_quality.cost, _QUALITY),),
    ),
)
