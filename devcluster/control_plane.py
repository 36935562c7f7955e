"""etcd, API server, controller manager and scheduler, each on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devcluster.access import ClusterAccess, write_kubeconfig
from devcluster.binaries import ControlPlaneBinaries
from devcluster.certificates import Certificate, CertificateAuthority, certificate_user, make_key, make_kubeconfig
from devcluster.http_probes import client_tls, get, responds
from devcluster.processes import ManagedProcess, ManagedProcesses, managed_processes

LOOPBACK = "127.0.0.1"
SERVICES = "10.96.0.0/16"
NAMES = (LOOPBACK, "10.96.0.1", "kubernetes.default.svc")
"""The names that clients call the API server by; 10.96.0.1 is the address of its service, the first of `SERVICES`."""


class ControlPlane:
    """A control plane whose processes a test may kill and restart, and an administrator's access to it."""

    etcd: ManagedProcess
    api_server: ManagedProcess
    controller_manager: ManagedProcess
    scheduler: ManagedProcess

    def __init__(self, processes: ManagedProcesses, binaries: ControlPlaneBinaries, address: str = LOOPBACK) -> None:
        self._managed, self._binaries, self._address = processes, binaries, address
        certificates = processes.folder / "certificates"
        self.authority = CertificateAuthority(certificates)
        self._server = self.authority.issue("server", addresses=sorted({*NAMES, address}))
        self._token_key = make_key(certificates / "tokens.key")
        self._port = processes.reserve_port(address)
        self._administrator = self.authority.issue("admin", group="system:masters")
        self._tls = client_tls(self.authority.certificate, self._administrator)
        self.access = ClusterAccess(
            url=f"https://{address}:{self._port}",
            kubeconfig=self.kubeconfig_of("admin", self._administrator),
            namespace="default",
            program=binaries.kubectl,
            environment={**processes.environment, "NO_PROXY": address},
        )

    def start(self) -> None:
        """Start all processes, and return once pods can be created."""
        etcd = f"http://{LOOPBACK}:{self._managed.reserve_port()}"
        self.etcd = self._start_etcd(etcd)
        self.etcd.wait_until_ready()
        self.api_server = self._start_api_server(etcd)
        self.api_server.wait_until_ready()
        self.controller_manager = self._start_controller_manager()
        self.scheduler = self._start_scheduler()
        self.controller_manager.wait_until_ready()
        self.scheduler.wait_until_ready()

    def _start_etcd(self, url: str) -> ManagedProcess:
        return self._managed.start(
            "etcd",
            self._binaries.etcd,
            f"--data-dir={self._managed.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls=http://{LOOPBACK}:0",  # etcd insists on an address even where it has no peers
            "--unsafe-no-fsync",  # the data need not outlive the machine, and syncing dominates on slow disks
            ready=lambda: responds(f"{url}/health"),
        )

    def _start_api_server(self, etcd: str) -> ManagedProcess:
        # Endpoints on loopback are refused, since each pod has a loopback of its own; without nodes nobody needs them.
        unreachable = ["--endpoint-reconciler-type=none"] if self._address == LOOPBACK else []
        return self._managed.start(
            "kube-apiserver",
            self._binaries.kube_apiserver,
            f"--etcd-servers={etcd}",
            f"--bind-address={self._address}",
            f"--advertise-address={self._address}",
            f"--secure-port={self._port}",
            *unreachable,
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",  # as kubeadm sets up, so that missing rights show in tests
            "--enable-admission-plugins=NodeRestriction",  # a kubelet may write only its own node and pods
            f"--client-ca-file={self.authority.certificate}",
            *self._serving(),
            "--kubelet-preferred-address-types=InternalIP",  # no name server knows our nodes
            f"--kubelet-certificate-authority={self.authority.certificate}",
            f"--kubelet-client-certificate={self._administrator.certificate}",
            f"--kubelet-client-key={self._administrator.key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._token_key}",
            f"--service-account-signing-key-file={self._token_key}",
            ready=lambda: self.get("/readyz") is not None,
        )

    def _start_controller_manager(self) -> ManagedProcess:
        port = self._managed.reserve_port()
        # It is healthy before its controllers run. One of them creates this account, without which pods are refused.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        return self._managed.start(
            "kube-controller-manager",
            self._binaries.kube_controller_manager,
            *self._controller("kube-controller-manager", port),
            # With the default of 20 requests per second its controllers take seconds to start.
            *["--kube-api-qps=1000", "--kube-api-burst=1000"],
            "--use-service-account-credentials",  # each controller has only its own rights, as on real clusters
            f"--service-account-private-key-file={self._token_key}",
            f"--root-ca-file={self.authority.certificate}",
            ready=lambda: self._is_healthy(port) and self.get(account) is not None,
        )

    def _start_scheduler(self) -> ManagedProcess:
        port = self._managed.reserve_port()
        return self._managed.start(
            "kube-scheduler",
            self._binaries.kube_scheduler,
            *self._controller("kube-scheduler", port),
            ready=lambda: self._is_healthy(port),
        )

    def _controller(self, name: str, port: int) -> list[str]:
        """Return the arguments that the controller manager and the scheduler share."""
        return [
            f"--kubeconfig={self.kubeconfig_of(name, self.authority.issue(f'system:{name}'))}",
            "--leader-elect=false",  # there is no second one to wait for
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            *self._serving(),
        ]

    def _serving(self) -> list[str]:
        return [f"--tls-cert-file={self._server.certificate}", f"--tls-private-key-file={self._server.key}"]

    def kubeconfig_of(self, name: str, certificate: Certificate) -> Path:
        config = make_kubeconfig(
            f"https://{self._address}:{self._port}", self.authority.certificate, certificate_user(certificate)
        )
        return write_kubeconfig(self._managed.folder / f"{name}.kubeconfig", config)

    def get(self, path: str) -> bytes | None:
        """Return what the API server has at a path; None if there is nothing, or no answer."""
        return get(f"{self.access.url}{path}", self._tls)

    def _is_healthy(self, port: int) -> bool:
        return responds(f"https://{LOOPBACK}:{port}/healthz", self._tls)


@contextmanager
def open_control_plane(binaries: ControlPlaneBinaries) -> Iterator[ControlPlane]:
    """Start a control plane without nodes: pods can be created and stay pending."""
    with managed_processes() as processes:
        control_plane = ControlPlane(processes, binaries)
        control_plane.start()
        yield control_plane
