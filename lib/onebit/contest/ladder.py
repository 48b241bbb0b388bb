"""The teachers of one contest: which of them a run belongs to, and the smaller dense models that it is held against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.checkout import Checkout
from lib.models import PACKAGED, LoadedModel, load
from lib.models.tiny import TEACHERS, build_tiny, load_teacher
from lib.onebit.contest.methods import method_named
from lib.onebit.training.setting import Setting


@dataclass(frozen=True)
class Ladder:
    """What a run's record names as its model, so that runs on several widths are judged together.

    Attributes:
        name: The teachers' names, from the narrowest to the widest.
        parameters: Number of weights of the largest.
    """

    name: str
    parameters: int


def ladder_of(teacher: str, teachers: Sequence[str], setting: Setting) -> Ladder:
    """Return the ladder that a teacher stands on; alone on its own where it is not among the teachers.

    Args:
        teacher: The run's teacher.
        teachers: Names of `TEACHERS`, from the narrowest to the widest.
        setting: What the teacher was loaded as.

    Raises:
        ValueError: One of the teachers is not in `TEACHERS`.
    """
    _check_ladder(teachers)
    if teacher not in teachers:
        return Ladder(teacher, setting.teacher.parameters)
    sizes = [sum(weight.numel() for weight in build_tiny(TEACHERS[name]).parameters()) for name in teachers]
    return Ladder(", ".join(teachers), max(sizes))


def check_names(methods: Sequence[str], ladder: Sequence[str], dense: Sequence[str]) -> None:
    """Check the names of a contest before anything is loaded or trained.

    Args:
        methods: Names of contestants.
        ladder: Names of tiny teachers.
        dense: Names of tiny teachers, packaged models, hub names ("owner/name") or folders.

    Raises:
        ValueError: A name is unknown or stands twice; the message lists the known ones.
    """
    for what, names in (("methods", methods), ("ladder", ladder), ("dense", dense)):
        twice = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
        if twice:
            raise ValueError(f"{what} names {', '.join(twice)} more than once; name each once")
    for name in methods:
        method_named(name)
    _check_ladder(ladder)
    known = (*TEACHERS, *PACKAGED)
    unknown = [name for name in dense if name not in known and "/" not in name and not Path(name).expanduser().is_dir()]
    if unknown:
        raise ValueError(
            f"there is no dense model {unknown[0]!r}; choose from {', '.join(known)}, "
            "a hub name (owner/name) or a folder"
        )


def _check_ladder(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in TEACHERS]
    if unknown:
        raise ValueError(f"a ladder is made of {', '.join(TEACHERS)}; got {', '.join(unknown)}")


def dense_models(names: Sequence[str], setting: Setting, checkout: Checkout = Checkout()) -> Iterator[LoadedModel]:
    """Yield smaller dense models, one at a time, to be measured on the setting's own tokens.

    Args:
        names: Names of `TEACHERS`, packaged models, hub names or folders.
        setting: With the teacher whose vocabulary they share.
        checkout: The tree whose artifact store holds models.

    Raises:
        ValueError: A model has another vocabulary, so that perplexities a token are not comparable.
    """
    for name in names:
        loaded = load_teacher(TEACHERS[name], checkout) if name in TEACHERS else load(name, checkout=checkout)
        if loaded.tokenizer.get_vocab() != setting.tokenizer.get_vocab():
            raise ValueError(
                f"{name} has another vocabulary than the teacher ({len(loaded.tokenizer)} and "
                f"{len(setting.tokenizer)} tokens); perplexities a token compare only within one"
            )
        yield loaded
