"""Meta-learners: one file each. `build` is the only place where one is made."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from metasearch.extensions import Group, find
from metasearch_trainer.metalearners.anil import ANIL
from metasearch_trainer.metalearners.base import Builder, MetaLearner
from metasearch_trainer.metalearners.boil import BOIL
from metasearch_trainer.metalearners.evolution import Evolution
from metasearch_trainer.metalearners.fomaml import FOMAML
from metasearch_trainer.metalearners.implicit import Implicit
from metasearch_trainer.metalearners.maml import MAML
from metasearch_trainer.metalearners.proto_maml import ProtoMAML
from metasearch_trainer.metalearners.prototypes import Prototypes
from metasearch_trainer.metalearners.reptile import Reptile
from metasearch_trainer.metalearners.truncated import Truncated
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe

BUILT_IN: Mapping[str, Builder] = {
    "Reptile": Reptile,
    "FOMAML": FOMAML,
    "MAML": MAML,
    "ANIL": ANIL,
    "BOIL": BOIL,
    "Prototypes": Prototypes,
    "ProtoMAML": ProtoMAML,
    "Truncated": Truncated,
    "Implicit": Implicit,
    "Evolution": Evolution,
}
"""By the names in `metasearch.api.META_LEARNERS`."""


def build(recipe: Recipe, network: Network, device: torch.device) -> MetaLearner:
    """
    Make the meta-learner that a recipe names.

    Raises:
        InvalidSpec: no meta-learner of that name is installed.
    """
    make = find(Group.META_LEARNERS, recipe.training.meta_learner, BUILT_IN, "spec.training.metaLearner")
    return make(recipe, network, device)
