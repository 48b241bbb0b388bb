"""What Delta-CoMe's notebooks measure, one dataclass a notebook."""

from dataclasses import dataclass, field

from lib.ledger import Metrics, timing


@dataclass(frozen=True, kw_only=True)
class FineTuneAModel(Metrics):
    """00_fine_tune_a_model: a base, its fine-tunes in two regimes, and how large their deltas are.

    Dictionaries are by regime, "small" and "large".

    Attributes:
        task: What was learnt.
        items: Held-out items.
        seed: Of base, items and order.
        base_accuracy: Share of held-out items that the base answers rightly.
        base_style: Mean style of its answers, 0 to 1.
        accuracies: Share of held-out items that each fine-tune answers rightly.
        styles: Mean style of each one's answers.
        divergences: Mean KL(fine-tune || base) over the answers' tokens, in nats.
        relative_norms: Frobenius norm of all projections' deltas over that of the base's projections.
        bf16_noise: Rounding of each fine-tune to bf16 over its delta, both as Frobenius norms over all projections.
        steps: Optimiser steps of each.
        seconds: Time for the held-out items of all three models.
    """

    task: str
    items: int
    seed: int
    base_accuracy: float
    base_style: float
    accuracies: dict[str, float] = field(default_factory=dict)
    styles: dict[str, float] = field(default_factory=dict)
    divergences: dict[str, float] = field(default_factory=dict)
    relative_norms: dict[str, float] = field(default_factory=dict)
    bf16_noise: dict[str, float] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    seconds: float = timing()


@dataclass(frozen=True, kw_only=True)
class LookAtTheSpectrum(Metrics):
    """01_look_at_the_spectrum: singular values of every delta of a pair, beside the same matrices with random signs.

    Dictionaries are by type of projection (q, k, v, o, gate, up, down), means over blocks, if nothing else is said.

    Attributes:
        pair: What was looked at.
        base: What was fine-tuned; of tiny models the shape.
        task: What was learnt; "" where that is not known.
        regime: "small" or "large"; "" for a pair of the reader's own.
        seed: Of the signs, and of a pair that was trained here.
        matrices: Number of deltas that are not zero.
        head: Share of the energy in the first 3 % of the directions.
        control_head: The same with random signs.
        tail: Share of the directions that 95 % of the energy need.
        control_tail: The same with random signs.
        structured: Mean number of directions stronger than the strongest with random signs, over that of all.
        divergence: KL(fine-tune || model) by the share of directions that are kept exactly; 0 is the base.
    """

    pair: str
    base: str = ""
    task: str
    regime: str
    seed: int
    matrices: int
    head: dict[str, float]
    control_head: dict[str, float]
    tail: dict[str, float]
    control_tail: dict[str, float]
    structured: dict[str, float]
    divergence: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CompressOneLayer(Metrics):
    """02_compress_one_layer: the method on one matrix, step by step, and a whole pair compressed twice.

    Attributes:
        pair: What was compressed.
        base: What was fine-tuned; of tiny models the shape.
        regime: "small" or "large"; "" for a pair of the reader's own.
        seed: Of a pair that was trained here.
        matrix: The weight's name.
        outputs: m.
        inputs: n.
        nominal: What the codes take, over 16 bits a weight.
        true: All that is stored for the matrix, over 16 bits a weight.
        output_error: Relative squared error at the layer's outputs on held-out text, by variant.
        weight_error: Relative squared error of the weights, by variant.
        true_by_variant: As `true`, by variant.
        differing_bytes: Between the files of two compressions of the whole pair.
        file_bytes: Of one of them.
    """

    pair: str
    base: str = ""
    regime: str
    seed: int
    matrix: str
    outputs: int
    inputs: int
    nominal: float
    true: float
    output_error: dict[str, float]
    weight_error: dict[str, float]
    true_by_variant: dict[str, float]
    differing_bytes: int
    file_bytes: int


@dataclass(frozen=True, kw_only=True)
class ChooseTheBits(Metrics):
    """03_choose_the_bits: one pair, many plans of the same true bytes, and four ways to choose one.

    Plans are named by their widths, such as "8+3+2". KL is that of the fine-tune to the compressed model, in nats an
    answer token.

    Attributes:
        pair: What was compressed.
        base: What was fine-tuned; of tiny models the shape.
        task: What was learnt; "" where that is not known.
        regime: "small" or "large"; "" for a pair of the reader's own.
        shape: Of a tiny model.
        seed: Of a tiny pair, and of the searches.
        scales: Whose the scales of U are: "row", as the paper, or "rank".
        ratio: alpha, all bytes counted.
        chosen_by: KL on the items that plans are chosen by, by plan.
        divergence: KL on the other items, by plan; "base" is no delta at all.
        output_error: Mean relative squared error at the layers' outputs, by plan.
        true_bytes: By plan.
        chosen: "search: plan" of each search.
        found_divergence: KL on the other items, by search.
        found_output_error: As `output_error`, by search.
        found_perplexity: On held-out plain text, by search; also of "base" and "fine-tune".
        found_accuracy: Share of the other items answered rightly, as `found_perplexity`.
        compressions: How many each search took.
        seconds: Processor time of each search.
    """

    pair: str
    base: str = ""
    task: str
    regime: str
    shape: str
    seed: int
    scales: str
    ratio: float
    chosen_by: dict[str, float]
    divergence: dict[str, float]
    output_error: dict[str, float]
    true_bytes: dict[str, float]
    chosen: tuple[str, ...] = ()
    found_divergence: dict[str, float] = field(default_factory=dict)
    found_output_error: dict[str, float] = field(default_factory=dict)
    found_perplexity: dict[str, float] = field(default_factory=dict)
    found_accuracy: dict[str, float] = field(default_factory=dict)
    compressions: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = timing()  # noqa: RUF009, makes a field


@dataclass(frozen=True, kw_only=True)
class CompareAtEqualBytes(Metrics):
    """04_compare_at_equal_bytes: one pair, one seed, every method in the same true bytes.

    `model` names all bases that runs are made on, `model_parameters` counts the largest: what one base shows is judged
    beside the others. Dictionaries are keyed by method; accuracies are 0 to 1; R = (s - s_base) / (s_ft - s_base). What
    rests on R is empty where next to nothing was gained.

    Attributes:
        base: What was fine-tuned in this run.
        task: What was learnt.
        style: Whether the task asks for a form rather than for a right result.
        regime: "small" or "large" delta.
        seed: Of base (if tiny), items and order.
        items: Held-out items.
        ratio: alpha.
        like: The plan whose true bytes are the budget at that alpha; "": alpha is real.
        budget: Bytes that the projections may take.
        ours: The method that is judged: 8+3+2 as the paper stores it, or with a scale a rank where that does not fit.
        base_accuracy: Of the base; None where nobody can tell right answers from wrong ones.
        finetuned_accuracy: Of the fine-tune, likewise.
        base_kl: KL(fine-tune || base) on answers, in nats a token.
        bytes: Stored for the projections.
        accuracy: Share of items answered rightly.
        recovery: R.
        recovery_low: Low end of its 95 % interval, bootstrap over items.
        recovery_high: High end.
        kl: KL(fine-tune || model) on answers, in nats a token.
        lead: R of ours minus R of the method.
        lead_low: Low end of its 95 % interval, paired bootstrap over items.
        lead_high: High end.
        kl_lead: KL of the method minus KL of ours.
        kl_lead_low: Low end of its 95 % interval, paired bootstrap over items.
        kl_lead_high: High end.
        activation: Mean squared error of activations, keyed "method third columns".
        curve_recovery: R of ours by ratio, keyed "1/32".
        curve_kl: KL of ours by ratio.
        curve_bytes: Bytes of ours by ratio.
        late_lead: R of ours at 1/32 minus R of the method at 1/16.
        late_lead_low: Low end of its 95 % interval, paired bootstrap over items.
        late_lead_high: High end.
        fine_drop: R of ours at 1/16 minus R of ours at 1/20; None: not measured.
        fine_drop_low: Low end of its 95 % interval, paired bootstrap over items.
        fine_drop_high: High end.
        extra_drop: What a 4-bit base adds to the drop in R; None: not measured.
        extra_drop_low: Low end of its 95 % interval, bootstrap over items.
        extra_drop_high: High end.
        exact_on_4_bits: R of the 4-bit base with the exact delta; None: not measured.
        compressed_on_4_bits: R of the 4-bit base with the compressed delta.
        cpu_seconds: Processor time for making each model.
    """

    base: str
    task: str
    style: bool
    regime: str
    seed: int
    items: int
    ratio: float
    like: str = ""
    budget: int
    ours: str
    base_accuracy: float | None
    finetuned_accuracy: float | None
    base_kl: float
    bytes: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    recovery: dict[str, float] = field(default_factory=dict)
    recovery_low: dict[str, float] = field(default_factory=dict)
    recovery_high: dict[str, float] = field(default_factory=dict)
    kl: dict[str, float] = field(default_factory=dict)
    lead: dict[str, float] = field(default_factory=dict)
    lead_low: dict[str, float] = field(default_factory=dict)
    lead_high: dict[str, float] = field(default_factory=dict)
    kl_lead: dict[str, float] = field(default_factory=dict)
    kl_lead_low: dict[str, float] = field(default_factory=dict)
    kl_lead_high: dict[str, float] = field(default_factory=dict)
    activation: dict[str, float] = field(default_factory=dict)
    curve_recovery: dict[str, float] = field(default_factory=dict)
    curve_kl: dict[str, float] = field(default_factory=dict)
    curve_bytes: dict[str, float] = field(default_factory=dict)
    late_lead: dict[str, float] = field(default_factory=dict)
    late_lead_low: dict[str, float] = field(default_factory=dict)
    late_lead_high: dict[str, float] = field(default_factory=dict)
    fine_drop: float | None = None
    fine_drop_low: float | None = None
    fine_drop_high: float | None = None
    extra_drop: float | None = None
    extra_drop_low: float | None = None
    extra_drop_high: float | None = None
    exact_on_4_bits: float | None = None
    compressed_on_4_bits: float | None = None
    cpu_seconds: dict[str, float] = timing()  # noqa: RUF009, makes a field


@dataclass(frozen=True, kw_only=True)
class CompareWithLora(Metrics):
    """05_compare_with_lora: a full fine-tune, compressed, against a LoRA trained in the same bytes on the same data.

    `model` and dictionaries as in `CompareAtEqualBytes`. Keys are "lora", a compressed method ("delta_come"), and that
    method with embedding and head of the base ("delta_come_shared"), which a LoRA has too.

    Attributes:
        base: What was fine-tuned.
        task: What was learnt.
        regime: "small" or "large": the schedule of both trainings.
        seed: Of base (if tiny), items and order.
        items: Held-out items.
        ratio: alpha.
        budget: Bytes that the projections may take.
        ours: The compressed method that is judged.
        base_accuracy: Of the base.
        finetuned_accuracy: Of the fine-tune.
        base_kl: KL(fine-tune || base) on answers, in nats a token.
        bytes: Stored for the projections.
        outside_bytes: What the fine-tune changed outside the projections, in fp16; a LoRA leaves it as it was.
        accuracy: Share of items answered rightly.
        recovery: R.
        kl: KL(fine-tune || model) on answers, in nats a token.
        lead: R of a compressed method minus R of the LoRA.
        lead_low: Low end of its 95 % interval, paired bootstrap over items.
        lead_high: High end.
        learning_rate: Of the LoRA.
        rates: Share of validation items answered rightly by learning rate, keyed by the rate; the best was taken.
        mean_rank: Of the LoRA, over all projections.
        steps: Of both trainings.
        cpu_seconds: Processor time for making each model.
    """

    base: str
    task: str
    regime: str
    seed: int
    items: int
    ratio: float
    budget: int
    ours: str
    base_accuracy: float
    finetuned_accuracy: float
    base_kl: float
    bytes: dict[str, float] = field(default_factory=dict)
    outside_bytes: float
    accuracy: dict[str, float] = field(default_factory=dict)
    recovery: dict[str, float] = field(default_factory=dict)
    kl: dict[str, float] = field(default_factory=dict)
    lead: dict[str, float] = field(default_factory=dict)
    lead_low: dict[str, float] = field(default_factory=dict)
    lead_high: dict[str, float] = field(default_factory=dict)
    learning_rate: float
    rates: dict[str, float] = field(default_factory=dict)
    mean_rank: float
    steps: int
    cpu_seconds: dict[str, float] = timing()  # noqa: RUF009, makes a field


@dataclass(frozen=True, kw_only=True)
class ServeManyTenants(Metrics):
    """06_serve_many_tenants: packed artifacts in bytes, many of them resident beside one base, and how fast they serve.

    Savings are M over bytes, M the model in 16 bits; "own" and "base" are whose embedding and head a tenant has. Cases
    of kernels are "outputs×inputs, tenants × tokens each"; ways of serving "kernels", "plain torch", "separate models".

    Attributes:
        pair: What was compressed.
        task: What was learnt; "" where that is not known.
        regime: "small" or "large"; "" for a pair of the reader's own.
        seed: Of a pair that was trained here, and of synthetic deltas.
        device: "cpu" or "cuda".
        tenants: Resident at once.
        real_tenants: Those of them that are real fine-tunes; the others are random codes of the same sizes.
        model_bytes: M.
        projection_saving: 16-bit projections over the packed matrices, scales, zeros and singular values counted.
        embedding_share: Share of M that embedding and head are.
        file_bytes: Of the artifact, by embeddings.
        disk_saving: By embeddings.
        tenant_bytes: What one tenant adds to memory in the kernels' form, by embeddings.
        memory_saving: N M over the bytes of base and N tenants, counted, by embeddings.
        forecast_bytes: What all resident tenants were to take, from the artifacts' headers.
        added_bytes: What the process' memory grew by.
        llama_gigabytes: 50 tenants of Llama-2-7B, by embeddings; arithmetic, not a measurement.
        llama_disk_saving: M over one artifact of Llama-2-7B, by embeddings; arithmetic.
        largest_error: Logits of mixed batches against merged models, relative to the delta's effect.
        tokens_per_second: "way, tenants".
        kernel_speedup: Time of plain torch over that of the kernels, by case, on a CPU.
        gpu_speedup: The same on a GPU; empty on a CPU.
        gpu_step: Of a decode step with 16 tenants of Llama-2-7B's shapes: "speedup" over separate models, "over floor".
    """

    pair: str
    task: str
    regime: str
    seed: int
    device: str
    tenants: int
    real_tenants: int
    model_bytes: float
    projection_saving: float
    embedding_share: float
    file_bytes: dict[str, float]
    disk_saving: dict[str, float]
    tenant_bytes: dict[str, float]
    memory_saving: dict[str, float]
    forecast_bytes: float
    added_bytes: float = timing()
    llama_gigabytes: dict[str, float]
    llama_disk_saving: dict[str, float]
    largest_error: float
    tokens_per_second: dict[str, float] = timing()  # noqa: RUF009, makes a field
    kernel_speedup: dict[str, float] = timing()  # noqa: RUF009, makes a field
    gpu_speedup: dict[str, float] = timing()  # noqa: RUF009, makes a field
    gpu_step: dict[str, float] = timing()  # noqa: RUF009, makes a field


@dataclass(frozen=True, kw_only=True)
class ServeManyTenantsOnGpu(ServeManyTenants):
    """06_serve_many_tenants with `device="cuda"`. A type of its own: runs of one type are weighed against each other.

    Attributes: those of `ServeManyTenants`.
    """
