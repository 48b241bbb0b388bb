"""A base and its fine-tune, trained on first use and kept in the artifact store under the hash of what decides them.

Both are stored in fp32, in the hub's format, with their tokenizer; beside the weights lies `training.json`. In bf16 a
small delta would be mostly rounding.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import artifacts
from lib.checkout import Checkout
from lib.corpora import tasks
from lib.models.finetuning.examples import encode
from lib.models.finetuning.recipe import FineTuneRecipe, Schedule, TinyBase
from lib.models.finetuning.shapes import build_shape, character_tokenizer
from lib.models.finetuning.training import fit
from lib.models.loading import LoadedModel, checkpoint_folder, load
from lib.models.quiet import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

REPORT = "training.json"

_HOW_IT_WAS_SAVED = ("_name_or_path", "dtype", "torch_dtype", "transformers_version", "use_cache")


@dataclass(frozen=True)
class Pair:
    """A base, its fine-tune, and the task between them.

    Attributes:
        base: The model before.
        finetuned: The model after.
        task: Items that it learnt from, and held-out ones.
        losses: Loss of each step of the fine-tune, in nats an answer token.
    """

    base: LoadedModel
    finetuned: LoadedModel
    task: tasks.Task
    losses: tuple[float, ...]

    def __repr__(self) -> str:
        return f"Pair({self.base.name} fine-tuned on {self.task.name} in {len(self.losses)} steps)"


def load_pair(recipe: FineTuneRecipe, test: int = 500, checkout: Checkout = Checkout()) -> Pair:
    """Return a pair, trained on first use, with `test` held-out items."""
    before, after = base_folder(recipe.base, checkout), finetuned_folder(recipe, checkout)
    task = tasks.make_task(recipe.task, recipe.items, test, recipe.seed)
    losses = json.loads((after / REPORT).read_text(encoding="utf-8"))["loss"]
    return Pair(load(before, checkout=checkout), load(after, checkout=checkout), task, tuple(losses))


def base_folder(base: TinyBase | str, checkout: Checkout = Checkout()) -> Path:
    """Return a base's folder in the hub's format; a tiny one is trained on first use.

    Raises:
        ModelError: A base given by name is unknown, not fetched or not in the hub's format.
    """
    if isinstance(base, str):
        return checkpoint_folder(base, checkout)
    base = base.on_this_machine()
    primer = tasks.make_task("primer", base.items, 1, base.seed).train
    content = {"version": 1, "text": tasks.fingerprint(primer)} | asdict(base)

    def build() -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        return build_shape(base.shape, base.seed), character_tokenizer()

    return _stored("tiny-base", content, build, primer, base, checkout)


def finetuned_folder(recipe: FineTuneRecipe, checkout: Checkout = Checkout()) -> Path:
    """Return a fine-tune's folder in the hub's format, trained on first use; an interrupted training is gone on with.

    Raises:
        ModelError: As `base_folder`, or the loss is not a number any more.
        CorpusError: The task is unknown.
    """
    recipe = recipe.on_this_machine()
    items = tasks.make_task(recipe.task, recipe.items, 1, recipe.seed).train
    base = base_folder(recipe.base, checkout)
    content = {"version": 1, "text": tasks.fingerprint(items)} | asdict(recipe) | {"base": checkpoint_sha256(base)}
    del content["regime"]  # a label

    def build() -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        loaded = load(base, checkout=checkout)
        return loaded.model, loaded.tokenizer

    return _stored("finetune", content, build, items, recipe, checkout)


def checkpoint_sha256(folder: Path) -> str:
    """Return one SHA-256 over a checkpoint's weights, tokenizer and settings, 64 hex digits.

    Settings count because equal weights can be two models: a Mistral and a Llama of one seed and shape.
    """
    paths = sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer.json")])
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    deciding = {name: value for name, value in settings.items() if name not in _HOW_IT_WAS_SAVED}
    parts = [artifacts.sha256(path) for path in paths] + [json.dumps(deciding, sort_keys=True)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _stored(
    name: str,
    content: dict[str, Any],
    build: "Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]]",
    items: Any,  # noqa: ANN401 - a data set
    schedule: Schedule,
    checkout: Checkout,
) -> Path:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    unfinished = artifacts.artifacts_folder(checkout) / f".{name}-{digest[:12]}.unfinished"

    def make(folder: Path) -> None:
        unfinished.mkdir(parents=True, exist_ok=True)
        model, tokenizer = build()
        description = "training a tiny base" if isinstance(schedule, TinyBase) else "fine-tuning"
        losses = fit(model, encode(items, tokenizer), schedule, unfinished / "state.safetensors", description)
        with quiet_transformers():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        (folder / REPORT).write_text(json.dumps({"loss": losses}, indent=1) + "\n", encoding="utf-8")

    folder = artifacts.store(name, content, make, checkout)
    shutil.rmtree(unfinished, ignore_errors=True)
    return folder
