"""The operator's command line: `python -m metasearch_operator --config FILE`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import kopf

from metasearch.cluster.api import Api
from metasearch.errors import MetaSearchError
from metasearch.kubernetes.names import METRICS_PORT
from metasearch_operator import probes
from metasearch_operator.config import load_config
from metasearch_operator.handlers import Operator


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(description="Reconcile the MetaSearch resources of a cluster.")
    parser.add_argument("--config", type=Path, required=True, help="YAML file; the Helm chart writes it")
    parser.add_argument("--probes-port", type=int, default=probes.PORT, help="port of /healthz and /readyz")
    parser.add_argument("--metrics-port", type=int, default=METRICS_PORT, help="port of /metrics")
    parser.add_argument("--verbose", action="store_true", help="log every event and request")
    arguments = parser.parse_args()
    kopf.configure(verbose=arguments.verbose, log_format=kopf.LogFormat.FULL)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # our own log lines say when a request fails
    if not arguments.verbose:
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # a line for each watch event
    try:
        config = load_config(arguments.config)
        api = Api.of_this_pod() if "KUBERNETES_SERVICE_HOST" in os.environ else Api.of_kubeconfig()
    except MetaSearchError as error:
        sys.stderr.write(f"metasearch operator: {error}\n")
        return error.exit_code
    operator = Operator(config, api, arguments.probes_port, arguments.metrics_port)
    kopf.run(
        registry=operator.registry(),
        standalone=True,  # another kopf operator's peering must not pause this one
        clusterwide=not config.namespaces,
        namespaces=config.namespaces,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
