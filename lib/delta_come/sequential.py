"""Compressing a whole fine-tune, block by block, each on what the compressed model before it puts out (section 3.3).

    delta = compress_delta(base, finetuned, "8:2,3:32,2:rest", 1 / 16, calibration_blocks(...))

Within a block the order is q, k, v; o; gate, up; down: each set's inputs come from base + compressed delta of the sets
before it. What the method leaves out (norms, embeddings, rotary settings) is the fine-tune's from the start.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch

from lib.delta_come.allocation import MarginalGain
from lib.delta_come.checkpoint import Source
from lib.delta_come.delta import Pair, take_pair
from lib.delta_come.errors import DeltaError
from lib.delta_come.factors import CompressedDelta, CompressedMatrix, GroupFactors
from lib.delta_come.matrices import Rule, Task, compress_groups, compress_matrices, make_task
from lib.delta_come.options import PAPER, CompressOptions
from lib.delta_come.plan import Plan
from lib.delta_come.walk import Walk, working_copy
from lib.progress import progress

# Projections that share an input, in the order in which a block uses them.
_SETS = (("q", "k", "v"), ("o",), ("gate", "up"), ("down",))


def compress_delta(
    base: Source,
    finetuned: Source,
    rule: str | Rule = PAPER,
    ratio: float = 1 / 16,
    calibration: torch.Tensor | None = None,
    options: CompressOptions = CompressOptions(),
) -> CompressedDelta:
    """Return what turns the base into (nearly) the fine-tune, in a fraction of the bytes; with a progress bar.

    Args:
        base: As in `take_pair`.
        finetuned: As in `take_pair`.
        rule: A plan ("8:2,3:32,2:rest"), `EqualBytes`, or `MarginalGain`.
        ratio: alpha of the budget.
        calibration: Token blocks [sequences, T], see `calibration_blocks`; needed but for rounding to the nearest.
        options: How.

    Raises:
        DeltaError: The two do not belong together, a weight is not finite, or a budget is too small; see `take_pair`.
    """
    from lib.delta_come.hashes import content_hash, digests

    pair = take_pair(base, finetuned)
    blocks = compress_blocks(pair, finetuned, rule, ratio, calibration, options)
    matrices: dict[str, CompressedMatrix] = {}
    for found in progress(blocks, "compressing", total=count_blocks(pair)):
        matrices |= found
    return CompressedDelta(
        matrices=matrices,
        raw=pair.raw(options.shared_embeddings),
        plan=str(rule),
        ratio=ratio,
        base_hash=content_hash(digests(pair.base.weights.items())),
        finetuned_hash=content_hash(digests(pair.finetuned.weights.items())),
        options=options.as_dict(),
        tied=pair.finetuned.tied,
    )


def compress_blocks(
    pair: Pair,
    finetuned: Source,
    rule: str | Rule = PAPER,
    ratio: float = 1 / 16,
    calibration: torch.Tensor | None = None,
    options: CompressOptions = CompressOptions(),
    finished: Mapping[str, CompressedMatrix] | None = None,
) -> Iterator[dict[str, CompressedMatrix]]:
    """Yield the compressed matrices of each block, as soon as it is done.

    The same arguments give the same bits again, also when it goes on from what an earlier call had finished.

    Args:
        pair: From `take_pair`.
        finetuned: The source that `take_pair` was given; a model is copied, not changed.
        rule: As in `compress_delta`.
        ratio: As in `compress_delta`.
        calibration: As in `compress_delta`.
        options: As in `compress_delta`.
        finished: Matrices of earlier blocks; a block of which all are here is yielded as it is.
    """
    rule = Plan.parse(rule) if isinstance(rule, str) else rule
    if calibration is None and options.needs_inputs:
        raise DeltaError(
            "GPTQ, whitening and resolve_u need calibration text: give token blocks (see `calibration_blocks`), or "
            "take the quantiser 'rtn'"
        )
    pair.check_finite()  # before hours of work, and before NaN in a norm shows as a Hessian that cannot be inverted
    finished, walk = finished or {}, None
    if calibration is not None and (options.needs_inputs or isinstance(rule, MarginalGain)):
        with torch.no_grad():
            walk = Walk(pair, working_copy(pair, finetuned, options), calibration)
    for number in range(count_blocks(pair)):
        names = projections_in_block(pair, number)
        with torch.no_grad():  # closed before each yield: it would reach the caller's own work
            if all(name in finished for name in names):
                done = {name: finished[name] for name in names}
                if walk is not None:
                    walk.replay(done, group_by_group=options.repeated_calibration)
            elif walk is None:
                tasks = [make_task(name, pair.delta(name), rule, ratio, options) for name in names]
                done = compress_matrices(tasks, None, options)
            else:
                done = _compress_block(pair, walk, names, rule, ratio, options)
            if walk is not None:
                walk.go_to_next_block()
        yield done


def count_blocks(pair: Pair) -> int:
    """Return how many blocks `compress_blocks` yields."""
    return int(pair.base.config["num_hidden_layers"])


def projections_in_block(pair: Pair, block: int) -> list[str]:
    """Return the names of one block's projections, in the order of use."""
    return [name for name in pair.projections if f"layers.{block}." in name]


def by_input(names: Sequence[str]) -> list[list[str]]:
    """Put a block's projections in the order of use, those with the same input together: q, k, v; o; gate, up; down."""
    sets = [[name for name in names for kind in kinds if f".{kind}_proj." in name] for kinds in _SETS]
    return [own for own in sets if own]


def _compress_block(
    pair: Pair, walk: Walk, names: list[str], rule: Rule, ratio: float, options: CompressOptions
) -> dict[str, CompressedMatrix]:
    if options.repeated_calibration:
        return _compress_block_as_released(pair, walk, names, rule, ratio, options)
    changed = [name for name in names if pair.delta(name).any()]
    done = {name: CompressedMatrix(name, tuple(pair.base.weights[name].shape), ()) for name in names}
    for own in by_input(changed):
        hessian = walk.hessian(own[0])
        tasks = [make_task(name, pair.delta(name), rule, ratio, options, hessian) for name in own]
        found = compress_matrices(tasks, hessian, options)
        for name, matrix in found.items():
            walk.set(name, matrix.delta())
        done |= found
    walk.advance()
    return done


def _compress_block_as_released(
    pair: Pair, walk: Walk, names: list[str], rule: Rule, ratio: float, options: CompressOptions
) -> dict[str, CompressedMatrix]:
    """Width by width through the whole block; the data pass it once after every width (the authors' llama.py).

    The first width sees a block with hardly any delta, and with three widths the next block is calibrated on data that
    have been through this one three times.
    """
    for name in names:
        walk.set(name, torch.zeros(()))
    tasks: dict[str, Task] = {}
    groups: dict[str, list[GroupFactors]] = {name: [] for name in names}
    number = 0
    while not tasks or number < max(len(task.plan.groups) for task in tasks.values()):
        for own in by_input(names):
            hessian = walk.hessian(own[0])
            for name in own:
                if name not in tasks:
                    tasks[name] = make_task(name, pair.delta(name), rule, ratio, options, hessian)
            which = [[number] if number < len(tasks[name].plan.groups) else [] for name in own]
            found = compress_groups([tasks[name] for name in own], which, hessian, options)
            for name, made in zip(own, found, strict=True):
                groups[name] += made
                walk.set(name, _matrix(tasks[name], groups[name]).delta())
        walk.advance()
        number += 1
    return {name: _matrix(tasks[name], groups[name]) for name in names}


def _matrix(task: Task, groups: list[GroupFactors]) -> CompressedMatrix:
    return CompressedMatrix(task.name, tuple(task.delta.shape), tuple(groups))
