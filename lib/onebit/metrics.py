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


@dataclass(frozen=True, kw_only=True)
class MultiplyBySigns(Metrics):
    """06_multiply_by_signs on a CPU: the packed layer's kernels beside dense products.

    A speed-up is the time of the fastest dense product (torch fp32, numpy fp32, torch bf16) over that of the packed
    layer, in one process on the same threads.

    Attributes:
        layers: Shapes of the layers, "outputs×inputs", from the smallest to the largest.
        threads: Threads of the processor.
        exact_cases: Products that were held against float64.
        largest_error: Largest relative error of a product against float64, ||Y - Y64|| / ||Y64||.
        weights_fp32_over_packed: Bytes of the fp32 weights over those of the packed tensor, largest layer.
        weights_bf16_over_packed: The same of bf16 weights.
        moved_bf16_over_packed: Bytes that one row's product moves, activations and vectors too: bf16 over packed.
        speedups: Of the largest layer at one row, by repetition.
        speedup_by_case: By layer and number of rows.
        microseconds: Median time by layer, number of rows and product.
        read_gigabytes_per_s: Bandwidth of reading memory, in 10^9 bytes a second.
        unpack_first: Time of unpacking, then multiplying, over the fastest dense product's; one row, largest layer.
    """

    layers: tuple[str, ...]
    threads: int
    exact_cases: int
    largest_error: float
    weights_fp32_over_packed: float
    weights_bf16_over_packed: float
    moved_bf16_over_packed: float
    speedups: tuple[float, ...] = timing()
    speedup_by_case: dict[str, float] = timing()  # noqa: RUF009, makes a field
    microseconds: dict[str, float] = timing()  # noqa: RUF009, makes a field
    read_gigabytes_per_s: float = timing()
    unpack_first: float = timing()


@dataclass(frozen=True, kw_only=True)
class MultiplyBySignsOnGpu(Metrics):
    """06_multiply_by_signs on a GPU: the Triton kernels beside cuBLAS bf16.

    Attributes:
        exact_cases: Products that were held against float64.
        largest_error: Largest relative error of a product against float64, ||Y - Y64|| / ||Y64||.
        speedup_by_case: Time of cuBLAS over that of the packed layer, by layer and number of rows.
        microseconds: Median time by layer, number of rows and product.
    """

    exact_cases: int
    largest_error: float
    speedup_by_case: dict[str, float] = timing()  # noqa: RUF009, makes a field
    microseconds: dict[str, float] = timing()  # noqa: RUF009, makes a field


@dataclass(frozen=True, kw_only=True)
class TrainOneBit(Metrics):
    """03_train_one_bit: one student distilled from its teacher.

    Perplexity and next-token accuracy (0 to 1) are on held-out test text, by model: "teacher", "start" (before
    training), "start, no LayerNorm", "start, LayerNorm", "student".

    Attributes:
        start: Name of the start, such as "svid".
        post_norm: Whether the layers end in a LayerNorm.
        own_text: Whether the student read text that the teacher wrote, instead of real text.
        steps: Optimiser steps.
        tokens: Tokens the student saw.
        learning_rate: Peak.
        hidden_weight: Weight of the hidden states in the loss, per token.
        held_out_tokens: Predicted tokens of test text.
        perplexity: By model.
        accuracy: By model.
        perplexity_ratio: Student's perplexity over the teacher's.
        losses: Unweighted terms of the loss over the first and the last steps: "logits, first", "hidden, last"...
        flipped: Share of signs that differ from the start's, 0 to 1.
        flipped_by_kind: The same by kind of layer.
        bits_per_weight: Stored bits of the student's projections, per weight.
        seconds: Processor time of the distillation.
    """

    start: str
    post_norm: bool
    own_text: bool
    steps: int
    tokens: int
    learning_rate: float
    hidden_weight: float
    held_out_tokens: int
    perplexity: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    perplexity_ratio: float
    losses: dict[str, float] = field(default_factory=dict)
    flipped: float
    flipped_by_kind: dict[str, float] = field(default_factory=dict)
    bits_per_weight: float
    seconds: float = timing()


@dataclass(frozen=True, kw_only=True)
class GenerateWithOneBit(Metrics):
    """07_generate_with_one_bit: a student as a checkpoint of transformers, and the memory of a larger model.

    Attributes:
        student_perplexity: Of the student while it is trained, on held-out test text.
        loaded_perplexity: Of the same student loaded from its checkpoint.
        same_choice: Share of held-out tokens where both think the same token likeliest, 0 to 1.
        same_ids: Whether the saved and the loaded student generate the same tokens.
        round_trip: Whether saving the loaded student again gives the same tensors bit for bit.
        quality_of_random: Perplexity of the checkpoint loaded without the method: projections of random numbers.
        bytes: Of the larger model: "projections, fp32", "projections, bf16", "projections, packed", "rest, fp32",
            "rest, bf16", "file, packed".
        projections_reduction: How many times smaller its packed projections are than in fp32.
        model_reduction: By what share the whole model shrinks against itself in bf16, the rest in bf16 too, 0 to 1.
        bits_per_weight: Resident bits of its projections, per weight.
        tokens_per_second: Generating with one row, "dense" and "packed", both in fp32.
    """

    student_perplexity: float
    loaded_perplexity: float
    same_choice: float
    same_ids: bool
    round_trip: bool
    quality_of_random: float
    bytes: dict[str, float] = field(default_factory=dict)
    projections_reduction: float
    model_reduction: float
    bits_per_weight: float
    tokens_per_second: dict[str, float] = timing()  # noqa: RUF009, makes a field


@dataclass(frozen=True, kw_only=True)
class CompareStartsAndLosses(Metrics):
    """04_compare_starts_and_losses: students of one teacher and one budget that differ in one thing.

    Dictionaries are by the student's name (`lib.onebit.training.variants`). A student whose training diverged stands in
    `diverged` alone. Within a record all students of a comparison saw the same text in the same order.

    Attributes:
        comparisons: Which of "starts", "losses" and "rates" were run.
        seed: Of the order of the text, of NMF's start and of random signs.
        steps: Optimiser steps of each student.
        tokens: Tokens that each student saw.
        constant_rate: Peak learning rate of students whose latents start at one small size.
        weight_rate: Of those whose latents start as the teacher's weights.
        released_rate: The release's, at which some starts were run as well.
        teacher_perplexity: On the test text.
        perplexity: On the test text.
        area: Mean loss over the training, the area under the learning curve a step.
        final_loss: Mean loss over the last tenth of the training.
        steps_to_loss: Starts: first step at which the loss is as low as that of the first of them at its end; who never
            gets there is left out.
        flipped: Share of signs that differ from the start's.
        diverged: Step at which a training was stopped.
        largest_activation: Rates: largest |value| in a layer's product or in a hidden state after training, by form and
            block.
        overflows: Rates: share of the products' values beyond fp16's 65,504 after training, by form.
        size_with_values: Rates: median over layers of std(Y) / std(X W^T) at the start with g and h, by model.
        size_without_values: The same with signs alone.
        size_without_over_expected: That over 1 / mean(|W|), median over layers.
        seconds: CPU time of all trainings.
    """

    comparisons: tuple[str, ...]
    seed: int
    steps: int
    tokens: int
    constant_rate: float
    weight_rate: float
    released_rate: float
    teacher_perplexity: float
    perplexity: dict[str, float] = field(default_factory=dict)
    area: dict[str, float] = field(default_factory=dict)
    final_loss: dict[str, float] = field(default_factory=dict)
    steps_to_loss: dict[str, float] = field(default_factory=dict)
    flipped: dict[str, float] = field(default_factory=dict)
    diverged: dict[str, float] = field(default_factory=dict)
    largest_activation: dict[str, float] = field(default_factory=dict)
    overflows: dict[str, float] = field(default_factory=dict)
    size_with_values: dict[str, float] = field(default_factory=dict)
    size_without_values: dict[str, float] = field(default_factory=dict)
    size_without_over_expected: dict[str, float] = field(default_factory=dict)
    seconds: float = timing()


@dataclass(frozen=True, kw_only=True)
class CompareAtEqualBits(Metrics):
    """05_compare_at_equal_bits: one teacher, one seed, every way to store its projections.

    `model` names the ladder of teachers that runs are made on, `model_parameters` counts its largest: what one width
    shows is judged beside the others. Dictionaries are keyed by method, "teacher" among them; shares are 0 to 1.

    Attributes:
        teacher: What was quantised in this run.
        teacher_parameters: Its number of weights.
        seed: Of the order of the text.
        perplexity: On the test text.
        accuracy: Next tokens predicted rightly.
        choice_accuracy: Continuations chosen rightly, of four.
        right_with_teacher: Continuations that both the method and the teacher chose rightly.
        questions: Continuations that were asked for, the same ones in every seed.
        diverged: Step at which a method's training was stopped, or ended in a perplexity that is no finite number; such
            a method has bits and bytes and no quality.
        bits: Stored bits a weight of the projections.
        bytes: Of the whole model, embedding, norms and head in fp16.
        tokens: That each trained student saw.
        teacher_tokens: That the teacher was trained on; 0 where that is not known.
        learning_rates: Of the trained methods.
        dense_bytes: Of smaller dense models trained on the same text, in fp16, by their names.
        dense_perplexity: Theirs, on the same test text.
        cpu_seconds: Processor time for making each model.
    """

    teacher: str
    teacher_parameters: int
    seed: int
    perplexity: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    choice_accuracy: dict[str, float] = field(default_factory=dict)
    right_with_teacher: dict[str, float] = field(default_factory=dict)
    questions: int
    diverged: dict[str, float] = field(default_factory=dict)
    bits: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)
    tokens: int
    teacher_tokens: int
    learning_rates: dict[str, float] = field(default_factory=dict)
    dense_bytes: dict[str, float] = field(default_factory=dict)
    dense_perplexity: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = timing()  # noqa: RUF009, makes a field
