"""Which sequences may exist: their components do, none contains itself, and none is too long."""

from __future__ import annotations

from openwhisk_local import rejections
from openwhisk_local.rejections import Rejection
from openwhisk_local.state.entities import Action, SequenceExec
from openwhisk_local.state.names import Name
from openwhisk_local.state.registry import Registry


def check_sequence(
    name: Name,
    sequence: SequenceExec,
    registry: Registry,
    max_components: int,
) -> None:
    """Check a sequence before it is written.

    Args:
        name: The sequence's name.
        sequence: Its components.
        registry: The entities.
        max_components: How many actions it may run, the sequences in it counted by what they run.

    Raises:
        Rejection: 400; it has no components, one does not exist, it contains itself, or it is too long.
    """
    if not sequence.components:
        raise Rejection(400, rejections.SEQUENCE_EMPTY)
    if (
        _count_actions(registry.locate(name), sequence.components, registry, max_components)
        > max_components
    ):
        raise Rejection(400, rejections.SEQUENCE_TOO_LONG)


def _count_actions(
    origin: Name,
    components: tuple[Name, ...],
    registry: Registry,
    max_components: int,
) -> int:
    """How many actions a sequence runs, the sequences in it counted by what they run."""
    if len(components) > max_components:
        raise Rejection(400, rejections.SEQUENCE_TOO_LONG)
    count = 0
    for component in components:
        name = registry.locate(component)
        if name == origin:
            raise Rejection(400, rejections.SEQUENCE_CYCLIC)
        action = registry.find(Action, name)
        if action is None:
            raise Rejection(400, rejections.SEQUENCE_COMPONENT_MISSING)
        nested = action.components
        count += 1 if nested is None else _count_actions(origin, nested, registry, max_components)
    return count
