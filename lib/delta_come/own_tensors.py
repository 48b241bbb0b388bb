"""Rows that have tensors of their own: norms, biases, embeddings and output heads of single tenants.

A module computes the base's output for all rows; then each such tenant's rows are computed again with its own tensors.
Of a vocabulary that grew, the base's rows stay shared: ids and logits beyond them are the tenant's own, and rows of a
smaller vocabulary have logits of -inf there.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lib.delta_come.checkpoint import EMBEDDING, HEAD
from lib.delta_come.errors import DeltaError
from lib.delta_come.routing import Routing

if TYPE_CHECKING:
    import torch

    Forward = Callable[[torch.Tensor], torch.Tensor]


def run(module: "torch.nn.Module", name: str, base: "Forward", x: "torch.Tensor", routing: Routing) -> "torch.Tensor":
    """Return a module's output, each row computed with its tenant's tensors.

    Args:
        module: The base's module.
        name: Its name in the model.
        base: Its own forward.
        x: Its input, [rows, ...].
        routing: The batch's tenants.

    Raises:
        DeltaError: A row has a token that its tenant's vocabulary has not.
    """
    if f"{name}.weight" == EMBEDDING:
        return _embedding(module, base, x, routing)
    return _head(base, x, routing) if f"{name}.weight" == HEAD else _norm(module, name, base, x, routing)


def add_own_bias(
    output: "torch.Tensor", bias: "torch.Tensor | None", name: str, rows: "torch.Tensor", routing: Routing
) -> "torch.Tensor":
    """Return a projection's output [rows, ..., m] with each tenant's own bias in the place of the base's.

    Args:
        output: With the base's bias.
        bias: The base's, or None.
        name: The bias' name.
        rows: Each row's place.
        routing: The batch's tenants.
    """
    for place, tensor in routing.own(name):
        chosen = _chosen(rows, place, output)
        output = output.index_add(
            0, chosen, _like(tensor.value if bias is None else tensor.value - bias, output, chosen)
        )
    return output


def _norm(module: "torch.nn.Module", name: str, base: "Forward", x: "torch.Tensor", routing: Routing) -> "torch.Tensor":
    """Return the output of a norm, or of any other module that treats rows apart."""
    output, rows = base(x), routing.rows_of(x, name)
    for place, tenant in enumerate(routing.tenants):
        own = {one: tenant.own[f"{name}.{one}"].value for one in module._parameters if f"{name}.{one}" in tenant.own}
        if own:
            chosen = _chosen(rows, place, x)
            output = output.index_copy(0, chosen, _twin(module, own)(x[chosen]).to(output.dtype))
    return output


def _embedding(module: "torch.nn.Module", base: "Forward", ids: "torch.Tensor", routing: Routing) -> "torch.Tensor":
    """Return the embeddings [rows, T, width] of token ids [rows, T]."""
    import torch

    rows, vocabulary = routing.rows_of(ids, EMBEDDING), module.weight.shape[0]
    output, checked = base(ids.clamp(max=vocabulary - 1)), torch.ones(len(rows), dtype=torch.bool)
    for place, own in routing.own(EMBEDDING):
        chosen = _chosen(rows, place, ids)
        known, first = ids[chosen], own.first_row
        _check_ids(known, first + len(own.value), routing.tenants[place].name)
        checked[rows == place] = False
        found = _twin(module, {"weight": own.value})((known - first).clamp(min=0)).to(output.dtype)
        output = output.index_copy(0, chosen, torch.where((known >= first)[..., None], found, output[chosen]))
    _check_ids(ids[checked.to(ids.device)], vocabulary, "the base")
    return output


def _head(base: "Forward", x: "torch.Tensor", routing: Routing) -> "torch.Tensor":
    """Return the logits [rows, ..., vocabulary] of hidden states; the vocabulary is the largest of the batch."""
    import torch

    rows, logits = routing.rows_of(x, HEAD), base(x)
    heads = {place: own for place, own in routing.own(EMBEDDING) if routing.tenants[place].tied}
    heads |= dict(routing.own(HEAD))
    largest = max((own.first_row + len(own.value) for own in heads.values()), default=0)
    logits = _widened(logits, max(largest, logits.shape[-1]))
    for place, own in heads.items():
        chosen = _chosen(rows, place, x)
        found = torch.nn.functional.linear(x[chosen], own.value)
        shared = logits[chosen][..., : own.first_row]
        logits = logits.index_copy(0, chosen, _widened(torch.cat([shared, found], -1), logits.shape[-1]))
    return logits


def _chosen(rows: "torch.Tensor", place: int, like: "torch.Tensor") -> "torch.Tensor":
    return (rows == place).nonzero().flatten().to(like.device)


def _like(vector: "torch.Tensor", output: "torch.Tensor", chosen: "torch.Tensor") -> "torch.Tensor":
    return vector.to(output.dtype).expand(len(chosen), *output.shape[1:])


def _widened(logits: "torch.Tensor", vocabulary: int) -> "torch.Tensor":
    import torch

    missing = vocabulary - logits.shape[-1]
    return torch.nn.functional.pad(logits, (0, missing), value=-torch.inf) if missing else logits


def _twin(module: "torch.nn.Module", own: "Mapping[str, torch.Tensor]") -> "torch.nn.Module":
    """Return a shallow copy with other parameters, and without what serving put on the module."""
    import torch

    twin = copy.copy(module)
    frozen = {name: torch.nn.Parameter(value, requires_grad=False) for name, value in own.items()}
    twin._parameters = dict(module._parameters) | frozen
    twin._forward_hooks = OrderedDict()
    twin.__dict__.pop("forward", None)
    return twin


def _check_ids(ids: "torch.Tensor", vocabulary: int, whose: str) -> None:
    if ids.numel() and int(ids.max()) >= vocabulary:
        raise DeltaError(
            f"a row of {whose} holds token {int(ids.max())}, but its vocabulary has {vocabulary} tokens; encode each "
            "row with its own model's tokenizer"
        )
