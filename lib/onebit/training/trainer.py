"""transformers' Trainer with a teacher beside it: the loss, the history, and the watch over both.

The teacher is no submodule of the student (in the released code it is), so no checkpoint carries it.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lib.onebit.training.conversion import flipped_by_kind, flipped_share, sign_snapshot
from lib.onebit.training.divergence import DivergedError, LossWatch, first_broken_tensor
from lib.onebit.training.losses import distillation_losses
from lib.onebit.training.recipe import DistillationRecipe
from lib.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Row:
    """One row of a training's history: means over the steps since the row before.

    Attributes:
        step: Optimiser steps taken.
        loss: The weighted loss.
        learning_rate: At the last of the steps.
        gradient_norm: Before clipping, at the last of the steps.
        flipped: Share of signs that differ from the start's, 0 to 1; NaN where no layer has latent weights.
        parts: The unweighted terms that were computed, by the names of `Losses`.
        flipped_by_kind: As `flipped`, by the kind of layer ("q_proj").
    """

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    flipped: float
    parts: dict[str, float]
    flipped_by_kind: dict[str, float] = field(default_factory=dict)


class DistillationTrainer(Trainer):
    """Trains a student to match a teacher.

    Args:
        student: Trained in place.
        teacher: Moved to the student's device and only read.
        blocks: Token ids, [blocks, T].
        recipe: Steps, rates, loss.
        folder: Where checkpoints go.
    """

    def __init__(
        self,
        student: "PreTrainedModel",
        teacher: "PreTrainedModel",
        blocks: torch.Tensor,
        recipe: DistillationRecipe,
        folder: Path,
    ) -> None:
        super().__init__(student, _arguments(recipe, folder), train_dataset=_Blocks(blocks))
        self.remove_callback(PrinterCallback)
        self.add_callback(_Progress(recipe.steps))
        self.add_callback(_StepWatch(self))
        self.loss_is_scaled_for_ga = False  # ours is a mean over the batch's tokens
        if recipe.weights.attention:  # the fast kinds of attention never build the maps
            student.set_attn_implementation("eager")
            teacher.set_attn_implementation("eager")
        self._teacher = teacher.to(self.args.device).eval()  # no submodule of the student: never saved with it
        self._recipe = recipe
        self.watch = LossWatch()
        self._of_step: list[float] = []
        self._sums: dict[str, float] = {}
        self._batches = 0
        self._snapshot = sign_snapshot(student)

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: object
    ) -> torch.Tensor:
        """Return the loss of a batch; the Trainer calls this."""
        ids, weights = inputs["input_ids"], self._recipe.weights
        wanted = {
            "output_hidden_states": bool(weights.hidden),
            "output_attentions": bool(weights.attention),
            "use_cache": False,
        }
        with torch.no_grad():
            expected = self._teacher(ids, **wanted)
        losses = distillation_losses(model(ids, **wanted), expected, ids, weights)
        numbers = losses.floats()
        if not math.isfinite(numbers["total"]):
            self.stop(f"the loss is {numbers['total']}", ids)
        self._of_step.append(numbers["total"])
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._batches += 1
        return losses.total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add our own numbers to a row of the Trainer's log."""
        if "grad_norm" in logs:  # a row of the history, not the summary at the end
            parts = {f"part_{name}": total / self._batches for name, total in self._sums.items() if name != "total"}
            student = self.accelerator.unwrap_model(self.model)
            flipped = flipped_share(student, self._snapshot) if self._snapshot else None
            kinds = {f"flipped_{kind}": share for kind, share in flipped_by_kind(student, self._snapshot).items()}
            logs = {**logs, "flipped": flipped, "loss": self._sums["total"] / self._batches, **parts, **kinds}
            self._sums, self._batches = {}, 0
        super().log(logs, start_time)

    def stop(self, fault: str, ids: torch.Tensor | None = None) -> None:
        """Raise a DivergedError; with the tokens at which it happened it names the first broken tensor."""
        if ids is not None:
            fault += f", first broken is {first_broken_tensor(self.accelerator.unwrap_model(self.model), ids)}"
        raise DivergedError(fault, self.state.global_step, complete_checkpoint(Path(self.args.output_dir)))

    def end_of_batches(self) -> None:
        """Look at a step's loss, the mean over the batches that its gradient is summed from."""
        loss = sum(self._of_step) / len(self._of_step)
        self._of_step = []
        fault = self.watch.fault(loss)
        if fault is not None:
            self.stop(fault)

    def restore(self, checkpoint: Path) -> None:
        """Load a checkpoint's weights and history without training on."""
        stored = {name: value for path in checkpoint.glob("*.safetensors") for name, value in load_file(path).items()}
        self.model.load_state_dict(stored, strict=False)  # a tied head is stored once
        self.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))

    def rows(self) -> tuple[Row, ...]:
        """Return the history, that before an interruption included."""
        return tuple(
            Row(
                step=row["step"],
                loss=row["loss"],
                learning_rate=row["learning_rate"],
                gradient_norm=float(row["grad_norm"]),
                flipped=float("nan") if row["flipped"] is None else row["flipped"],
                parts=_named("part_", row),
                flipped_by_kind=_named("flipped_", row),
            )
            for row in self.state.log_history
            if "grad_norm" in row
        )


def _named(prefix: str, row: dict[str, Any]) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def complete_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end: the trainer's state is written last."""
    complete = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class _Blocks(torch.utils.data.Dataset):
    def __init__(self, blocks: torch.Tensor) -> None:
        self._blocks = blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self._blocks[number].long()}


class _Progress(TrainerCallback):
    def __init__(self, steps: int) -> None:
        self._bar = progress(range(steps), "distilling")

    def on_step_end(self, *_: object, **__: object) -> None:
        next(self._bar, None)


class _StepWatch(TrainerCallback):
    """Stops before an optimiser step that would make weights NaN or goes on from a loss far too high.

    While the loss is so high that this may still turn out to be a divergence, no checkpoint is written: the two that
    are kept stay those of better times.
    """

    def __init__(self, trainer: DistillationTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, _arguments: object, state: TrainerState, *_: object, **__: object) -> None:
        first = next((row["loss"] for row in state.log_history if "grad_norm" in row), None)
        self._trainer.watch.first = first  # of an interrupted training that goes on

    def on_step_end(
        self, arguments: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        if self._trainer.watch.suspicious and state.global_step < arguments.max_steps:
            control.should_save = False

    def on_pre_optimizer_step(self, *_: object, model: torch.nn.Module, **__: object) -> None:
        self._trainer.end_of_batches()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None and not parameter.grad.sum().isfinite():
                self._trainer.stop(f"the gradient of {name} is not finite")


def _arguments(recipe: DistillationRecipe, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup,
        lr_scheduler_type="cosine",
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        bf16=recipe.bf16,
        activation_checkpointing=recipe.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},  # the embedding is frozen: inputs need no gradient
        seed=recipe.seed,
        data_seed=recipe.seed,
        logging_steps=min(recipe.log_every, recipe.steps),
        logging_nan_inf_filter=False,
        save_strategy="steps" if recipe.save_every else "no",
        save_steps=recipe.save_every or recipe.steps,
        save_total_limit=2,
        ddp_find_unused_parameters=False,  # every trained parameter takes part in every step
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
    )
