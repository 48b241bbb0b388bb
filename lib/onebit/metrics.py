"""What OneBit's notebooks measure, one dataclass a notebook."""

from dataclasses import dataclass, field

from lib.ledger import Metrics, timing


@dataclass(frozen=True, kw_only=True)
class SeparateSignAndValue(Metrics):
    """01_separate_sign_and_value: the decomposition of every projection matrix of a model.

    Errors are relative squared Frobenius errors, ||W - W'||^2 / ||W||^2.

    Attributes:
        matrices: Projection matrices of the model.
        random_matrices: Random matrices that the inequalities were tried on as well.
        layer_deviation: Proposition 1: largest relative difference between layer form and product, in float64.
        lemma_1_violations: Matrices, real and random, with sigma_1(|W|) < sigma_1(W).
        proposition_2_violations: Matrices, real and random, where SVID's error exceeds that of the rank-1 SVD.
        smallest_sigma_ratio: Smallest sigma_1(|W|) / sigma_1(W) among the model's matrices.
        errors: Mean error over the model's matrices, by approximation.
        svid_errors_by_type: Mean error of SVID, by type of layer.
        nmf_excess: Largest error of a one-component NMF beyond the optimum that SVD reaches.
        nmf_steps: Most steps that NMF took.
        svid_steps: Most alternating steps that SVID took until it was proved optimal.
        bits_per_weight: Bits in the saved file's tensors, per original weight.
        svid_seconds: Time for the SVID of all the model's matrices.
    """

    matrices: int
    random_matrices: int
    layer_deviation: float
    lemma_1_violations: int
    proposition_2_violations: int
    smallest_sigma_ratio: float
    errors: dict[str, float] = field(default_factory=dict)
    svid_errors_by_type: dict[str, float] = field(default_factory=dict)
    nmf_excess: float
    nmf_steps: int
    svid_steps: int
    bits_per_weight: float
    svid_seconds: float = timing()


@dataclass(frozen=True, kw_only=True)
class CountTheBits(Metrics):
    """02_count_the_bits: bytes on disk against the paper's formulas.

    Attributes:
        layers: Layers of different shapes that were saved on their own.
        layers_off: Those whose tensors take another number of bytes than predicted.
        average_bits_4096: The paper's average bit-width of a 4096 x 4096 layer, from the saved file's bytes.
        sizes_gb: Computed OneBit size of each LLaMA model of Table 3, in GB.
        reductions: Computed reduction of each, in percent of the fp16 size.
        table_3_deviation_gb: Largest difference between a computed and a printed size, both columns, in GB.
        file_bytes: Size of the packed model on disk.
        predicted_bytes: Predicted size of its tensors.
        model_reduction: Reduction of this model on disk against fp16, in percent.
        model_bits_per_parameter: Bits on disk per weight of the original model, embedding included.
        linear_average_bits: The paper's average bit-width over this model's projections, from the saved bytes.
    """

    layers: int
    layers_off: int
    average_bits_4096: float
    sizes_gb: dict[str, float] = field(default_factory=dict)
    reductions: dict[str, float] = field(default_factory=dict)
    table_3_deviation_gb: float
    file_bytes: int
    predicted_bytes: int
    model_reduction: float
    model_bits_per_parameter: float
    linear_average_bits: float
