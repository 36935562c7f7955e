"""What the operator is told by its installation. The chart writes it; see helm/metasearch/values.yaml."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from metasearch.api import SpecModel
from metasearch.errors import InvalidSpec
from metasearch.kubernetes.pod_settings import PodSettings
from metasearch.loading import describe


class OperatorConfig(SpecModel):
    """All of it."""

    namespaces: tuple[str, ...] = Field(default=(), description="namespaces are those with searches; none means all.")
    worker: PodSettings = Field(description="worker is what all worker pods have in common.")


def load_config(path: Path) -> OperatorConfig:
    """Read it from a YAML file; raises InvalidSpec, which names the field."""
    try:
        return OperatorConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise InvalidSpec(f"{path} cannot be read as YAML ({said}); it must be the operator's configuration") from error
    except ValidationError as error:
        raise InvalidSpec(f"{path}: {describe(error, OperatorConfig)}") from error
