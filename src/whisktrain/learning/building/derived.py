"""State of layers beside their weights: derived from weights when Keras loads a layer, or kept in lookup tables.

`Variable.assign` alone sets neither. A `Normalization` computes with constants that it makes from its adapted mean and
variance; an adapted lookup layer keeps its vocabulary in a table of TensorFlow, which is part of a .keras file but of no
configuration.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from whisktrain.learning import backend
from whisktrain.learning.keras_types import Layer, LookupLayer, Model
from whisktrain.tensors import Tensor

__all__ = ["derive", "write_vocabularies"]


def derive(model: Model) -> None:
    """Have each layer derive from its weights what Keras would derive when it loads them; the weights stay.

    Layers of other packages load what they save, so that an own `load_own_variables` has its effect. Keras' own are only
    asked to finalise: loading would merge LoRA weights.
    """
    for layer in model._flatten_layers(include_self=False):
        if not layer.weights:
            continue
        finalize = getattr(layer, "finalize_state", None)
        if callable(finalize):
            finalize()
        elif _loads_in_its_own_way(layer):
            saved: dict[str, Tensor] = {}
            layer.save_own_variables(saved)
            with backend.quiet():
                layer.load_own_variables({key: np.array(value) for key, value in saved.items()})


def write_vocabularies(model: Model) -> None:
    """Make the vocabularies that lookup layers have learned part of their configurations."""
    for layer in model._flatten_layers(include_self=False):
        if not _is_lookup(layer) or layer.input_vocabulary is not None:
            continue
        words = layer.get_vocabulary(include_special_tokens=False)
        if not words:
            continue
        layer.input_vocabulary = [
            word.item() if isinstance(word, np.generic) else word for word in words
        ]
        if layer.output_mode == "tf_idf":
            weights = layer.idf_weights_const.numpy()
            layer.input_idf_weights = weights[-len(words) :].tolist()


def _loads_in_its_own_way(layer: Layer) -> bool:
    kind = type(layer)
    inherited = backend.keras().layers.Layer.load_own_variables
    own = getattr(kind, "load_own_variables", inherited)
    return own is not inherited and not kind.__module__.startswith("keras.")


def _is_lookup(layer: Layer) -> TypeGuard[LookupLayer]:
    layers = backend.keras().layers
    return isinstance(layer, (layers.IntegerLookup, layers.StringLookup))
