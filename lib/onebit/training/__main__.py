"""Distil a student from the command line, on as many devices as there are.

    accelerate launch -m lib.onebit.training --teacher owner/name --text FOLDER --released llama2-7b --out OUT
    python -m lib.onebit.training --teacher mini --steps 200 --learning-rate 4e-3 --out OUT

OUT/training holds the checkpoints: the same command goes on after an interruption. OUT/student is the packed student, a
checkpoint of transformers.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.onebit.training.conversion import OneBitForm, student_of
from lib.onebit.training.distillation import distil
from lib.onebit.training.recipe import RELEASED, RELEASED_LENGTH, DistillationRecipe, released_recipe
from lib.onebit.training.setting import Setting, load_setting
from lib.onebit.training.starts import STARTS, start_named

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its words default to those of the process."""
    options = _parser().parse_args(arguments)
    length = options.length or (RELEASED_LENGTH if options.released else 128)
    dtype = "bfloat16" if options.released else "float32"
    setting = load_setting(options.teacher, options.text, length, options.train_blocks, 1, dtype)
    student = student_of(setting.model, OneBitForm(start_named(options.start), not options.no_post_norm).make_layer)
    result = distil(
        student, setting.model, setting.train, _recipe(options, len(setting.train)), options.out / "training"
    )
    if int(os.environ.get("RANK", "0")) == 0:  # of several processes one saves
        _save(student, setting, options.out / "student")
        print(result, options.out / "student", sep="\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib.onebit.training", description=__doc__.partition("\n")[0])
    parser.add_argument("--teacher", default="mini", help="a tiny teacher, a packaged model, a hub name or a folder")
    parser.add_argument("--text", default="", help="a folder of text files or a hub data set (default: the teacher's)")
    parser.add_argument("--start", default="svid", choices=STARTS)
    parser.add_argument("--no-post-norm", action="store_true", help="without the LayerNorm behind every layer")
    parser.add_argument("--released", choices=RELEASED, help="the release's settings in place of the four below")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16, help="sequences in a step, on each device")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--length", type=int, help="tokens in a sequence (default: 128, released 2,048)")
    parser.add_argument("--train-blocks", type=int, default=132_000, help="sequences of training text, at most")
    parser.add_argument("--save-every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and student")
    return parser


def _recipe(options: argparse.Namespace, blocks: int) -> DistillationRecipe:
    if options.released:
        return released_recipe(options.released, blocks, int(os.environ.get("WORLD_SIZE", "1")))
    return DistillationRecipe(
        options.steps,
        options.batch,
        learning_rate=options.learning_rate,
        warmup=options.steps // 20,
        bf16=options.bf16,
        save_every=options.save_every,
    )


def _save(student: "PreTrainedModel", setting: Setting, folder: Path) -> None:
    from lib.onebit.pretrained import save_model
    from lib.onebit.training.finished import packed_model

    save_model(packed_model(student.cpu(), setting.model.cpu()), folder, setting.tokenizer)


if __name__ == "__main__":
    sys.exit(main())
