"""The model card that lies beside a saved OneBit model."""

from pathlib import Path
from typing import TYPE_CHECKING

from lib.onebit.pretrained.quantise import onebit_layers, projection_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CARD = """---
library_name: transformers
tags:
- onebit
- 1-bit
---

# {name}, one bit a weight

The {layers} projections of this {model} are stored as OneBit (Xu et al., NeurIPS 2024): the sign of every weight,
and one fp16 number an input and an output. That is {bits:.3f} bits a weight for {weights:,} weights.
{norm}

## Load it

```python
from lib import onebit  # registers the method with transformers; run it in a checkout of the project that wrote this

from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("this folder")
```

> **Without `from lib import onebit` this goes wrong quietly.** transformers does not know the method "onebit": it
> prints a table of tensors that it misses, fills all the projections with random numbers, and goes on. What such a
> model generates is noise.

## Format

`quantization_config` in `config.json`: method `onebit`, version {version}. A projection `name` [m, n] is

| tensor | type | shape | what it holds |
| --- | --- | --- | --- |
| `name.sign_bits` | uint8 | [m, ceil(n / 8)] | 8 signs a byte along the inputs, lowest bit first; 0 is +1, 1 is -1 |
| `name.output_scale` | fp16 | [m] | h |
| `name.input_scale` | fp16 | [n] | g |

and computes `((x * g) @ signs.T) * h`{norm_formula}. Everything else is stored as transformers stores it.
"""


def save_model(
    model: "PreTrainedModel",
    folder: Path | str,
    tokenizer: "PreTrainedTokenizerBase | None" = None,
    name: str | None = None,
) -> Path:
    """Write a OneBit model as a checkpoint of transformers, with its model card (README.md), and return the folder.

    `model.save_pretrained` alone writes the same checkpoint without the card.

    Args:
        model: As `quantise`, `replace_projections` or `from_pretrained` returns it.
        folder: Made if it is not there.
        tokenizer: Saved too, if given.
        name: What the card calls the model; the folder that it was loaded from by default.

    Raises:
        ModelError: The model has no OneBit projections.
    """
    folder = Path(folder)
    card = model_card(model, name)
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def model_card(model: "PreTrainedModel", name: str | None = None) -> str:
    """Return the model card, Markdown; arguments as in `save_model`.

    Raises:
        ModelError: The model has no OneBit projections.
    """
    memory, config = projection_memory(model), model.config.quantization_config
    stored = sum(layer.matrix.nbytes for layer in onebit_layers(model).values())
    norm = "Each projection ends in a LayerNorm without affine part." if config.post_layer_norm else ""
    return _CARD.format(
        name=name or Path(model.config.name_or_path or type(model).__name__).name,
        layers=len(onebit_layers(model)),
        model=type(model).__name__,
        bits=8 * stored / memory.weights,
        weights=memory.weights,
        norm=norm,
        norm_formula=", followed by a LayerNorm over the outputs" if norm else "",
        version=config.version,
    ).replace("\n\n\n", "\n\n")
