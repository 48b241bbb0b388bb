"""How well a model predicts a text."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.models.loading import LoadedModel


def perplexity(model: "LoadedModel", text: str) -> float:
    """Return exp of the mean negative log-likelihood of a text's tokens, each given all before it.

    PPL = exp(-1/(T-1) * sum_{t=2..T} log p(x_t | x_1 ... x_{t-1})), in nats; the first token is given, not predicted.
    The text is read in one piece, so it must fit the model's context.

    Raises:
        ValueError: The text has fewer than two tokens, or more than the model's context.
    """
    import torch

    ids = model.tokenizer(text, return_tensors="pt").input_ids
    longest = model.model.config.max_position_embeddings
    if not 2 <= ids.shape[1] <= longest:
        raise ValueError(f"the text has {ids.shape[1]} tokens; perplexity needs 2 to {longest}")
    with torch.inference_mode():
        logits = model.model(ids).logits[0, :-1].double()  # [T-1, vocabulary]
        return torch.nn.functional.cross_entropy(logits, ids[0, 1:]).exp().item()
