"""The vocabulary between the rounds and the learner: the plan of a run, a piece of work, and what it contributes.

The rounds know when to compute and on which rows; a `Learner` (Keras, or NumPy in tests) knows how. Neither imports the other.
"""

from __future__ import annotations

from whisktrain.spec.contribution import Contribution, ContributionNumbers, Figures, MetricSums
from whisktrain.spec.learner import Learner, OpenModel
from whisktrain.spec.model import (
    CONSTRAINTS,
    Blueprint,
    Built,
    ConstraintConfig,
    Layout,
    Role,
    TensorEntry,
)
from whisktrain.spec.options import (
    LossConfig,
    ModelSource,
    OptimizerConfig,
    OuterConfig,
    ScheduleConfig,
    state_tensors,
)
from whisktrain.spec.plan import Label, Spec, Sync, Task
from whisktrain.spec.work import Phase, Rows, Work

__all__ = [
    "CONSTRAINTS",
    "Blueprint",
    "Built",
    "ConstraintConfig",
    "Contribution",
    "ContributionNumbers",
    "Figures",
    "Label",
    "Layout",
    "Learner",
    "LossConfig",
    "MetricSums",
    "ModelSource",
    "OpenModel",
    "OptimizerConfig",
    "OuterConfig",
    "Phase",
    "Role",
    "Rows",
    "ScheduleConfig",
    "Spec",
    "Sync",
    "Task",
    "TensorEntry",
    "Work",
    "state_tensors",
]
