"""etcd, API server, controller manager and scheduler, on ports of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.access import Access, write_kubeconfig
from cluster.binaries import Binaries
from cluster.certificates import Authority, Certificate, kubeconfig, make_key, user_of
from cluster.endpoints import answers, get, tls_of
from cluster.household import Household, Process, open_household

LOOPBACK = "127.0.0.1"
SERVICES = "10.96.0.0/16"
NAMES = (LOOPBACK, "10.96.0.1", "kubernetes.default.svc")
"""What clients call the API server by; the second is its service's address."""


class ControlPlane:
    """Its processes, which a test may kill and start again, and the way in for an administrator."""

    etcd: Process
    api_server: Process
    controller_manager: Process
    scheduler: Process

    def __init__(self, household: Household, binaries: Binaries, address: str = LOOPBACK) -> None:
        self._household, self._binaries, self._address = household, binaries, address
        certificates = household.folder / "certificates"
        self.authority = Authority(certificates)
        self._server = self.authority.issue("server", addresses=sorted({*NAMES, address}))
        self._token_key = make_key(certificates / "tokens.key")
        self._port = household.free_port(address)
        self._administrator = self.authority.issue("admin", group="system:masters")
        self._tls = tls_of(self.authority.certificate, self._administrator)
        self.access = Access(
            url=f"https://{address}:{self._port}",
            kubeconfig=self.kubeconfig_of("admin", self._administrator),
            namespace="default",
            program=binaries.kubectl,
            environment={**household.environment, "NO_PROXY": address},
        )

    def start(self) -> None:
        """Returns once pods can be made."""
        etcd = f"http://{LOOPBACK}:{self._household.free_port()}"
        self.etcd = self._start_etcd(etcd)
        self.etcd.wait_until_ready()
        self.api_server = self._start_api_server(etcd)
        self.api_server.wait_until_ready()
        self.controller_manager = self._start_controller_manager()
        self.scheduler = self._start_scheduler()
        self.controller_manager.wait_until_ready()
        self.scheduler.wait_until_ready()

    def _start_etcd(self, url: str) -> Process:
        return self._household.start(
            "etcd",
            self._binaries.etcd,
            f"--data-dir={self._household.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls=http://{LOOPBACK}:0",
            "--unsafe-no-fsync",  # the data need not outlive the machine
            ready=lambda: answers(f"{url}/health"),
        )

    def _start_api_server(self, etcd: str) -> Process:
        # The service `kubernetes` cannot lead to loopback, which is another place for every pod.
        unreachable = ["--endpoint-reconciler-type=none"] if self._address == LOOPBACK else []
        return self._household.start(
            "kube-apiserver",
            self._binaries.kube_apiserver,
            f"--etcd-servers={etcd}",
            f"--bind-address={self._address}",
            f"--advertise-address={self._address}",
            f"--secure-port={self._port}",
            *unreachable,
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={self.authority.certificate}",
            *self._serving(),
            "--kubelet-preferred-address-types=InternalIP",  # nobody resolves the names of our nodes
            f"--kubelet-certificate-authority={self.authority.certificate}",
            f"--kubelet-client-certificate={self._administrator.certificate}",
            f"--kubelet-client-key={self._administrator.key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._token_key}",
            f"--service-account-signing-key-file={self._token_key}",
            ready=lambda: self.get("/readyz") is not None,
        )

    def _start_controller_manager(self) -> Process:
        port = self._household.free_port()
        # It calls itself healthy before its controllers run. One of them makes this account; pods are refused without.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        return self._household.start(
            "kube-controller-manager",
            self._binaries.kube_controller_manager,
            *self._controller("kube-controller-manager", port),
            *["--kube-api-qps=1000", "--kube-api-burst=1000"],  # by default it takes seconds to start
            "--use-service-account-credentials",  # each controller with its own rights, as elsewhere
            f"--service-account-private-key-file={self._token_key}",
            f"--root-ca-file={self.authority.certificate}",
            ready=lambda: self._is_healthy(port) and self.get(account) is not None,
        )

    def _start_scheduler(self) -> Process:
        port = self._household.free_port()
        return self._household.start(
            "kube-scheduler",
            self._binaries.kube_scheduler,
            *self._controller("kube-scheduler", port),
            ready=lambda: self._is_healthy(port),
        )

    def _controller(self, name: str, port: int) -> list[str]:
        """What the controller manager and the scheduler are both told."""
        return [
            f"--kubeconfig={self.kubeconfig_of(name, self.authority.issue(f'system:{name}'))}",
            "--leader-elect=false",  # there is no second one
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            *self._serving(),
        ]

    def _serving(self) -> list[str]:
        return [f"--tls-cert-file={self._server.certificate}", f"--tls-private-key-file={self._server.key}"]

    def kubeconfig_of(self, name: str, certificate: Certificate) -> Path:
        config = kubeconfig(f"https://{self._address}:{self._port}", self.authority.certificate, user_of(certificate))
        return write_kubeconfig(self._household.folder / f"{name}.kubeconfig", config)

    def get(self, path: str) -> bytes | None:
        """What the API server has there; None if that is nothing, or it does not answer."""
        return get(f"{self.access.url}{path}", self._tls)

    def _is_healthy(self, port: int) -> bool:
        return answers(f"https://{LOOPBACK}:{port}/healthz", self._tls)


@contextmanager
def open_control_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """A control plane of one's own, without nodes: pods are made, and stay pending."""
    with open_household() as household:
        control_plane = ControlPlane(household, binaries)
        control_plane.start()
        yield control_plane
