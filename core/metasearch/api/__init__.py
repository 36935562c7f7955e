"""
The MetaSearch resource, as frozen models with bounds, defaults and the source of each default.

The custom resource definitions and the spec reference are generated from these models, so a field's description is
what `kubectl explain` prints: it begins with the field's name and gives unit and default. Models never read files or
the environment; `loading` turns a YAML file into them and their errors into sentences.
"""

from __future__ import annotations

from metasearch.api.base import Rule, SpecModel
from metasearch.api.budget import MAX_DELIVERED, Baseline, Budget, Deliver, Final
from metasearch.api.data import Dataset, DatasetName, Folder, Task
from metasearch.api.hyperparameters import (
    AVERAGING,
    MAX_HYPERPARAMETERS,
    SPACE_NAMES,
    Distribution,
    Hyperparameter,
    as_given,
    field_of,
    is_whole,
    unit_of,
)
from metasearch.api.learners import (
    AnilSettings,
    BoilSettings,
    EvolutionSettings,
    FomamlSettings,
    ImplicitSettings,
    InnerLoopSettings,
    InnerRates,
    LearnedRatesSettings,
    LearnerSettings,
    MamlSettings,
    MetaOptimizer,
    OptimizerState,
    ProtoMamlSettings,
    PrototypesSettings,
    QuerySettings,
    ReptileSettings,
    SecondOrder,
    TruncatedSettings,
)
from metasearch.api.resource import CHANGEABLE, OPERATOR_MANAGER, Metadata, MetaSearch, MetaSearchSpec
from metasearch.api.search import (
    STRATEGY_SETTINGS,
    Constraints,
    EarlyStopping,
    EarlyStoppingRule,
    Screening,
    Search,
    Surrogate,
)
from metasearch.api.space import Concat, Operation, Space
from metasearch.api.storage import Storage
from metasearch.api.strategies import (
    EvolutionSearchSettings,
    HalvingSearchSettings,
    LocalSearchSettings,
    PrioritySearchSettings,
    ProgressiveSearchSettings,
)
from metasearch.api.training import (
    MAX_CURVE_POINTS,
    META_LEARNERS,
    SETTINGS,
    Classification,
    Evaluation,
    MetaLearning,
    Score,
    Split,
    Training,
)
from metasearch.api.worker import PodTemplate, ResourceClaim, Resources, Toleration, Volume, Worker

__all__ = [
    "AVERAGING",
    "CHANGEABLE",
    "MAX_CURVE_POINTS",
    "MAX_DELIVERED",
    "MAX_HYPERPARAMETERS",
    "META_LEARNERS",
    "OPERATOR_MANAGER",
    "SETTINGS",
    "SPACE_NAMES",
    "STRATEGY_SETTINGS",
    "AnilSettings",
    "Baseline",
    "BoilSettings",
    "Budget",
    "Classification",
    "Concat",
    "Constraints",
    "Dataset",
    "DatasetName",
    "Deliver",
    "Distribution",
    "EarlyStopping",
    "EarlyStoppingRule",
    "Evaluation",
    "EvolutionSearchSettings",
    "EvolutionSettings",
    "Final",
    "Folder",
    "FomamlSettings",
    "HalvingSearchSettings",
    "Hyperparameter",
    "ImplicitSettings",
    "InnerLoopSettings",
    "InnerRates",
    "LearnedRatesSettings",
    "LearnerSettings",
    "LocalSearchSettings",
    "MamlSettings",
    "MetaLearning",
    "MetaOptimizer",
    "MetaSearch",
    "MetaSearchSpec",
    "Metadata",
    "Operation",
    "OptimizerState",
    "PodTemplate",
    "PrioritySearchSettings",
    "ProgressiveSearchSettings",
    "ProtoMamlSettings",
    "PrototypesSettings",
    "QuerySettings",
    "ReptileSettings",
    "ResourceClaim",
    "Resources",
    "Rule",
    "Score",
    "Screening",
    "Search",
    "SecondOrder",
    "Space",
    "SpecModel",
    "Split",
    "Storage",
    "Surrogate",
    "Task",
    "Toleration",
    "Training",
    "TruncatedSettings",
    "Volume",
    "Worker",
    "as_given",
    "field_of",
    "is_whole",
    "unit_of",
]
