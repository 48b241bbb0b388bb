"""Distilling a teacher into a student on transformers' Trainer, so that `accelerate launch` takes the same code along.

    student = student_of(teacher, OneBitForm().make_layer)
    result = distil(student, teacher, blocks, DistillationRecipe(steps=400), folder)

Interrupted, the same call goes on from the folder's last checkpoint; on one device the result is the same bit for bit.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib.models.quiet import quiet_transformers
from lib.onebit.training.recipe import DistillationRecipe
from lib.onebit.training.trainer import DistillationTrainer, Row, complete_checkpoint

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_RECIPE = "recipe.json"


@dataclass(frozen=True)
class Distillation:
    """What came of a distillation; the student itself was trained in place.

    Attributes:
        history: Row by row.
        tokens: Number of tokens the student saw.
    """

    history: tuple[Row, ...]
    tokens: int

    @property
    def flipped(self) -> float:
        """Share of signs that differ from the start's at the end, 0 to 1."""
        return self.history[-1].flipped

    def __repr__(self) -> str:
        first, last = self.history[0], self.history[-1]
        return (
            f"Distillation({last.step} steps, {self.tokens} tokens, loss {first.loss:.4g} -> {last.loss:.4g}, "
            f"{last.flipped:.1%} of signs flipped)"
        )


def distil(
    student: "PreTrainedModel",
    teacher: "PreTrainedModel",
    blocks: "torch.Tensor",
    recipe: DistillationRecipe,
    folder: Path | None = None,
) -> Distillation:
    """Train a student in place to match a teacher.

    Args:
        student: From `student_of`; what requires no gradient stays as it is.
        teacher: Only read, in evaluation mode, in the dtype it has.
        blocks: Token ids, [blocks, T]; read in a random order, again and again where the steps need more.
        recipe: Steps, rates, loss.
        folder: Where checkpoints go every `save_every` steps, and where an interrupted training goes on.

    Raises:
        ValueError: Teacher, student and tokens do not fit together, there are too few tokens for a step, or the folder
            holds another training.
        DivergedError: The loss is no number or has grown far beyond its start; the last good checkpoint is kept.
    """
    _check(student, teacher)
    _check_blocks(blocks, teacher, recipe)
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            recipe = replace(recipe, save_every=0)
        trainer = DistillationTrainer(student, teacher, blocks, recipe, folder or Path(temporary))
        checkpoint = _last_checkpoint(folder, recipe)
        with quiet_transformers():
            if checkpoint is not None and _steps(checkpoint) >= recipe.steps:
                trainer.restore(checkpoint)  # `train` would take one step more
            else:
                trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        student.eval()
        return Distillation(trainer.rows(), recipe.tokens(blocks.shape[1], trainer.args.world_size))


def _check(student: "PreTrainedModel", teacher: "PreTrainedModel") -> None:
    for name, (theirs, ours) in {
        "model.embed_tokens.weight": (teacher.get_input_embeddings().weight, student.get_input_embeddings().weight),
        "lm_head.weight": (teacher.get_output_embeddings().weight, student.get_output_embeddings().weight),
    }.items():
        if theirs.shape != ours.shape:
            raise ValueError(
                f"{name}: the teacher's is {list(theirs.shape)}, the student's {list(ours.shape)}; "
                "they must share one vocabulary and one width, so make the student with `student_of(teacher, ...)`"
            )
    theirs, ours = teacher.config.num_hidden_layers, student.config.num_hidden_layers
    if theirs != ours:
        raise ValueError(
            f"the teacher has {theirs} blocks, the student {ours}; hidden states are matched block by block, so make "
            "the student with `student_of(teacher, ...)`"
        )
    if not any(parameter.requires_grad for parameter in student.parameters()):
        raise ValueError("no parameter of the student is trainable; make it with `student_of(teacher, ...)`")


def _check_blocks(blocks: "torch.Tensor", teacher: "PreTrainedModel", recipe: DistillationRecipe) -> None:
    if blocks.ndim != 2 or not blocks.numel() or blocks.shape[1] < 2:
        raise ValueError(
            f"blocks are token ids [blocks, T] with one block or more of 2 tokens or more, got {list(blocks.shape)}; "
            "`token_blocks` cuts a text into such blocks"
        )
    batch = recipe.batch * int(os.environ.get("WORLD_SIZE", "1"))  # an incomplete batch is dropped
    if len(blocks) < batch:
        raise ValueError(
            f"{len(blocks)} blocks do not fill one batch of {batch}; take more text, shorter blocks or a smaller batch"
        )
    vocabulary = teacher.get_input_embeddings().weight.shape[0]
    if not 0 <= int(blocks.min()) <= int(blocks.max()) < vocabulary:
        raise ValueError(
            f"blocks are token ids [blocks, T] below {vocabulary}, got {list(blocks.shape)}, {int(blocks.min())} to "
            f"{int(blocks.max())}; encode the text with the teacher's own tokenizer"
        )


def _steps(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _last_checkpoint(folder: Path | None, recipe: DistillationRecipe) -> Path | None:
    """Return the checkpoint to go on from, after checking that it belongs to this recipe."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    content = json.loads(json.dumps(asdict(recipe)))
    path = folder / _RECIPE
    if not path.exists():
        writing = path.with_name(f".{_RECIPE}.{os.getpid()}")  # of several processes each may get here
        writing.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(writing, path)
        return None
    before = json.loads(path.read_text(encoding="utf-8"))
    if before != content:
        changed = [name for name in content if before.get(name) != content[name]]
        raise ValueError(
            f"{folder} holds a training with another {', '.join(changed)}; take another folder or empty it"
        )
    return complete_checkpoint(folder)
