"""The operator's process: `python -m metasearch_operator --config FILE`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import kopf

from metasearch.cluster.api import Api
from metasearch.errors import MetaSearchError
from metasearch_operator import probes
from metasearch_operator.config import load_config
from metasearch_operator.handlers import Operator


def main() -> int:
    """Run until told to end."""
    parser = argparse.ArgumentParser(description="Drive the MetaSearch resources of a cluster.")
    parser.add_argument("--config", type=Path, required=True, help="YAML file; the Helm chart writes it")
    parser.add_argument("--probes-port", type=int, default=probes.PORT, help="where /healthz and /readyz answer")
    parser.add_argument("--verbose", action="store_true", help="log every pass")
    arguments = parser.parse_args()
    kopf.configure(verbose=arguments.verbose, log_format=kopf.LogFormat.FULL)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # our own words say when a request fails
    if not arguments.verbose:
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # it tells of every event it was told of
    try:
        config = load_config(arguments.config)
        api = Api.of_this_pod() if "KUBERNETES_SERVICE_HOST" in os.environ else Api.of_kubeconfig()
    except MetaSearchError as error:
        sys.stderr.write(f"metasearch operator: {error}\n")
        return error.exit_code
    operator = Operator(config, api, arguments.probes_port)
    kopf.run(
        registry=operator.registry(),
        standalone=True,  # another kopf operator's peering must not pause this one
        clusterwide=not config.namespaces,
        namespaces=config.namespaces,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
