"""The sum of a loss and the divisor that Keras would use, instead of their quotient.

Keras' mean over a batch is `sum / divisor`: of sum_over_batch_size, the number of loss elements, or of unmasked ones under a
mask; of mean_with_sample_weight, the sum of the weights. Source: `keras.losses.Loss.__call__` and `reduce_weighted_values`
(Keras 3).
"""

from __future__ import annotations

from dataclasses import dataclass

from whisktrain.learning import backend
from whisktrain.learning.keras_types import BackendTensor, Loss
from whisktrain.tensors import Tensor

__all__ = ["LossSums", "loss_sums"]


@dataclass(frozen=True, slots=True)
class LossSums:
    """Scalars of the loss's dtype, and the mask that was applied.

    Attributes:
        total: The sum of the weighted loss elements.
        divisor: What Keras divides it by.
        mask: True where an element counts; None without a mask.
    """

    total: BackendTensor
    divisor: BackendTensor
    mask: BackendTensor | None


def loss_sums(
    loss: Loss, y: Tensor | BackendTensor, output: BackendTensor, weights: BackendTensor | None
) -> LossSums:
    """Compute a loss's sum and divisor inside a trace.

    Args:
        loss: A Keras loss.
        y: Targets as the loss takes them.
        output: The model's output, with its Keras mask if it has one.
        weights: Sample weights, or None.
    """
    ops, dtype = backend.keras().ops, loss.dtype
    losses, mask = _element_losses(loss, y, output)
    count: BackendTensor = ops.cast(ops.size(losses), dtype)
    divisor = count
    if mask is not None:
        flags: BackendTensor = ops.cast(mask, dtype)
        weights = flags if weights is None else _masked_weights(ops.cast(weights, dtype), flags)
        if loss.reduction in ("mean", "sum_over_batch_size"):
            # one loss element may stand for several mask elements or the other way round: keep Keras' ratio
            size = ops.cast(ops.size(mask), dtype)
            unmasked = ops.sum(ops.cast(mask, dtype))
            divisor = unmasked * (count / ops.maximum(size, 1))
    if weights is not None:
        losses, weights = _same_rank(losses, ops.cast(weights, dtype))
        losses = losses * weights
        if loss.reduction == "mean_with_sample_weight":
            divisor = ops.sum(weights)
    return LossSums(ops.sum(losses), divisor, mask)


def _element_losses(
    loss: Loss, y: Tensor | BackendTensor, output: BackendTensor
) -> tuple[BackendTensor, BackendTensor | None]:
    """The unreduced losses, and the mask of the output or of the loss itself (an ignored class)."""
    ops, dtype = backend.keras().ops, loss.dtype
    masks: list[BackendTensor | None] = [getattr(output, "_keras_mask", None)]
    targets = ops.convert_to_tensor(y, dtype=dtype)
    predicted = ops.convert_to_tensor(output, dtype=dtype)
    losses = loss.call(targets, predicted)
    masks.append(getattr(losses, "_keras_mask", None))
    present: list[BackendTensor] = [ops.cast(mask, "bool") for mask in masks if mask is not None]
    if not present:
        mask = None
    elif len(present) == 1:
        mask = present[0]
    else:
        mask = ops.logical_and(*present)
    return ops.convert_to_tensor(losses, dtype=dtype), mask


def _masked_weights(weights: BackendTensor, flags: BackendTensor) -> BackendTensor:
    """Sample weights that are 0 where the mask is."""
    flags, weights = _same_rank(flags, weights)
    if len(weights.shape) < len(flags.shape):
        trailing = [1] * (len(flags.shape) - 1)
        weights = backend.keras().ops.reshape(weights, (-1, *trailing))
    return weights * flags


def _same_rank(
    values: BackendTensor, weights: BackendTensor
) -> tuple[BackendTensor, BackendTensor]:
    """Keras' `squeeze_or_expand_to_same_rank` for the two cases that occur here."""
    ops = backend.keras().ops
    value_rank, weight_rank = len(values.shape), len(weights.shape)
    if value_rank == weight_rank + 1 and values.shape[-1] == 1:
        if weight_rank == 1:
            return values, ops.expand_dims(weights, -1)
        return ops.squeeze(values, -1), weights
    if weight_rank == value_rank + 1 and weights.shape[-1] == 1:
        return values, ops.squeeze(weights, -1)
    return values, weights
