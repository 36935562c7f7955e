"""The operator's configuration file, which the Helm chart writes; see helm/metasearch/values.yaml."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from metasearch.api import SpecModel
from metasearch.errors import InvalidSpec
from metasearch.kubernetes.pod_settings import PodSettings
from metasearch.metrics.server import Tls
from metasearch.validation_messages import describe


class TlsFiles(SpecModel):
    """The PEM files with which the operator's metrics are served over TLS."""

    certificate: Path = Field(description="certificate is the server's, with those of its issuers.")
    key: Path = Field(description="key is that of the certificate.")
    client_authority: Path | None = Field(
        default=None,
        description="clientAuthority is a certificate authority: only its clients are answered. Default: all are.",
    )

    @property
    def tls(self) -> Tls:
        """The files, for the server."""
        return Tls(self.certificate, self.key, self.client_authority)


class OperatorConfig(SpecModel):
    """The content of the configuration file. Unknown keys are refused, so that a typing error is not ignored."""

    namespaces: tuple[str, ...] = Field(default=(), description="namespaces are those with searches; none means all.")
    worker: PodSettings = Field(description="worker is what all worker pods have in common.")
    metrics_tls: TlsFiles | None = Field(
        default=None, description="metricsTls has the operator's metrics served over TLS. Default: over HTTP."
    )


def load_config(path: Path) -> OperatorConfig:
    """
    Read the configuration from a YAML file.

    Raises:
        InvalidSpec: the file cannot be read, or a field is wrong; the message names the field.
    """
    try:
        return OperatorConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())  # errors of YAML span several lines; ours are one sentence
        raise InvalidSpec(
            f"{path} cannot be read as YAML ({reason}); it must be the operator's configuration"
        ) from error
    except ValidationError as error:
        raise InvalidSpec(f"{path}: {describe(error, OperatorConfig)}") from error
