#!/usr/bin/env bash
# Sets up a bare machine.
#   scripts/setup.sh             installs uv into .cache if it is missing, then the locked Python packages into .venv
#   scripts/setup.sh browser     installs Chromium for the test that opens a report (Debian as root; elsewhere says how)
#   scripts/setup.sh prometheus  unpacks Debian's Prometheus, promtool, Alertmanager and amtool into .cache
#   scripts/setup.sh cluster     installs the programs of devcluster: etcd, containerd and buildah from Debian; Kubernetes,
#                                Helm and Kueue built with Go into .cache, and the definitions of Prometheus' operator
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.9.5
TOOLS=.cache/tools

die() {
  echo "setup: $*" >&2
  exit 1
}

# Installs Debian packages; fails unless this is Debian and we are root.
apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  echo "setup: installing $* with apt-get" >&2
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Prints the path of uv: the machine's own, or one that is installed into a virtual environment of its own.
find_uv() {
  if command -v uv >/dev/null; then
    command -v uv
    return
  fi
  if [ ! -x "$TOOLS/bin/uv" ]; then
    command -v python3 >/dev/null || apt_install python3 python3-venv ||
      die "needs uv or Python 3; install uv as https://docs.astral.sh/uv says, or python3 with python3-venv"
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv ||
      die "needs uv, or Python's venv module to install it with; install the package python3-venv"
    rm -rf "$TOOLS"
    python3 -m venv "$TOOLS" || die "cannot make a virtual environment in $TOOLS; install uv as https://docs.astral.sh/uv says"
    "$TOOLS/bin/pip" install --quiet --disable-pip-version-check "uv>=$UV_VERSION" >&2 ||
      die "cannot install uv with pip; check that this machine reaches a Python package index, or install uv yourself"
  fi
  echo "$TOOLS/bin/uv"
}

setup_python() {
  local uv
  uv=$(find_uv)
  echo "setup: installing the locked packages into .venv (PyTorch alone is some GB the first time)" >&2
  "$uv" sync --quiet --locked --all-extras ||
    die "cannot install the locked packages; the reason is above (uv sync --locked --all-extras repeats it)"
}

setup_browser() {
  command -v chromium >/dev/null || command -v google-chrome >/dev/null && return
  apt_install chromium || echo "setup: no Chromium, so the test that opens a report is skipped; apt-get install chromium" >&2
}

PROMETHEUS=.cache/prometheus

# Unpacks instead of installing: the packages would start services, which this machine may have no use for.
setup_prometheus() {
  if command -v prometheus >/dev/null && command -v promtool >/dev/null && command -v prometheus-alertmanager >/dev/null; then
    return
  fi
  [ ! -x "$PROMETHEUS/bin/prometheus-alertmanager" ] || return 0
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "setup: no Prometheus, so its tests are skipped; install prometheus, promtool and alertmanager" >&2
    return
  fi
  echo "setup: unpacking Prometheus and Alertmanager into $PROMETHEUS" >&2
  rm -rf "$PROMETHEUS/new" && mkdir -p "$PROMETHEUS/new"
  [ "$(id -u)" != 0 ] || apt-get update -qq
  (cd "$PROMETHEUS/new" && apt-get -o APT::Sandbox::User=root download -qq prometheus prometheus-alertmanager >/dev/null) ||
    die "apt-get cannot download prometheus and prometheus-alertmanager; the reason is above"
  local package
  for package in "$PROMETHEUS"/new/*.deb; do
    dpkg -x "$package" "$PROMETHEUS/new"
  done
  # The folder appears as a whole, so that an interrupted unpacking is not taken for a complete one.
  rm -rf "$PROMETHEUS/bin" && mv "$PROMETHEUS/new/usr/bin" "$PROMETHEUS/bin"
  rm -rf "$PROMETHEUS/new"
}

KUBERNETES_BUILD=devcluster/build
KUBERNETES=.cache/kubernetes
CONTROL_PLANE="kube-apiserver kube-controller-manager kube-scheduler kubectl"

# Succeeds if KUBEBUILDER_ASSETS names a folder that holds all of these programs.
in_assets() {
  local program
  for program; do
    [ -x "${KUBEBUILDER_ASSETS:-}/$program" ] || return 1
  done
}

# Builds the tools of devcluster/build/go.mod, unless they were built from the same files before.
build_kubernetes() {
  local source version
  source=$(cat "$KUBERNETES_BUILD/go.mod" "$KUBERNETES_BUILD/go.sum" | sha256sum)
  [ "$(cat "$KUBERNETES/bin/.source" 2>/dev/null)" != "$source" ] || return 0
  if ! command -v go >/dev/null; then
    echo "setup: no Go, so tests with a cluster are skipped; install Go 1.24 or later as https://go.dev/doc/install says" >&2
    return
  fi
  version=$(GOWORK=off go -C "$KUBERNETES_BUILD" list -m -f '{{.Version}}' k8s.io/kubernetes)
  echo "setup: building Kubernetes $version into $KUBERNETES (some minutes and GB of memory, once)" >&2
  rm -rf "$KUBERNETES/new" && mkdir -p "$KUBERNETES/new"
  local package=k8s.io/component-base/version number=${version#v}
  # Programs of Kubernetes learn their release from the linker, as in its own build.
  GOWORK=off CGO_ENABLED=0 go -C "$KUBERNETES_BUILD" build -trimpath -o "$PWD/$KUBERNETES/new/" -ldflags "-s -w \
    -X $package.gitVersion=$version -X $package.gitMajor=${number%%.*} -X $package.gitMinor=$(cut -d. -f2 <<<"$number")" tool ||
    die "cannot build Kubernetes; the reason is above, and a machine with less than 4 GB of memory is too small"
  echo "$source" >"$KUBERNETES/new/.source"
  # The folder appears as a whole, so that an interrupted build is not taken for a complete one.
  rm -rf "$KUBERNETES/bin" && mv "$KUBERNETES/new" "$KUBERNETES/bin"
}

# Succeeds if there is Go; if not, and the program was not built before, says which tests are skipped.
has_go() {
  local program=$1 skipped=$2
  command -v go >/dev/null && return
  [ -x ".cache/$program/bin/$program" ] ||
    echo "setup: no Go, so $skipped are skipped; install Go 1.26 or later as https://go.dev/doc/install says" >&2
  return 1
}

HELM=.cache/helm/bin
HELM_VERSION=v4.3.1

build_helm() {
  has_go helm "tests of the chart" || return 0
  # A Go program records the version of its module, so no file beside it has to.
  go version -m "$HELM/helm" 2>/dev/null | grep -q "helm.sh/helm/v4[[:space:]]$HELM_VERSION[[:space:]]" && return
  echo "setup: building Helm $HELM_VERSION into $HELM (some minutes, once)" >&2
  GOWORK=off GOBIN="$PWD/$HELM" go install "helm.sh/helm/v4/cmd/helm@$HELM_VERSION" ||
    die "cannot build Helm; the reason is above"
}

KUEUE=.cache/kueue
KUEUE_VERSION=v0.15.0

# Builds Kueue with the dependencies of its own go.mod, and keeps the manifests of the same release.
# `go install` would do for a program, but the manifests are in the module's source only.
build_kueue() {
  local module=sigs.k8s.io/kueue@$KUEUE_VERSION source
  has_go kueue "tests with Kueue" || return 0
  [ "$(cat "$KUEUE/.version" 2>/dev/null)" != "$KUEUE_VERSION" ] || return 0
  echo "setup: building Kueue $KUEUE_VERSION into $KUEUE (some minutes, once)" >&2
  rm -rf "$KUEUE" && mkdir -p "$KUEUE/bin"
  GOWORK=off go mod download "$module" || die "cannot get Kueue; the reason is above"
  source=$(GOWORK=off go list -m -f '{{.Dir}}' "$module")
  GOWORK=off CGO_ENABLED=0 go -C "$source" build -trimpath -ldflags "-s -w" -o "$PWD/$KUEUE/bin/" ./cmd/kueue ||
    die "cannot build Kueue; the reason is above"
  cp -r --no-preserve=mode "$source/config" "$KUEUE/config"
  echo "$KUEUE_VERSION" >"$KUEUE/.version"
}

MONITORING=.cache/monitoring
MONITORING_VERSION=v0.88.0

# Keeps the definitions of the resources by which Prometheus' operator is configured; the operator itself is not needed.
fetch_monitoring_definitions() {
  local module=github.com/prometheus-operator/prometheus-operator@$MONITORING_VERSION source kind
  [ "$(cat "$MONITORING/.version" 2>/dev/null)" != "$MONITORING_VERSION" ] || return 0
  if ! command -v go >/dev/null; then
    echo "setup: no Go, so tests with PrometheusRule, PodMonitor and ServiceMonitor are skipped" >&2
    return
  fi
  rm -rf "$MONITORING" && mkdir -p "$MONITORING"
  source=$(GOWORK=off go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -n "$source" ] || die "cannot get the definitions of Prometheus' operator (go mod download $module says why)"
  for kind in prometheusrules podmonitors servicemonitors; do
    cp --no-preserve=mode "$source/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$MONITORING/$kind.yaml"
  done
  echo "$MONITORING_VERSION" >"$MONITORING/.version"
}

# Installs packages; if we may not, says which tests are skipped, and fails.
install_or_skip() {
  local skipped=$1
  shift
  apt_install "$@" && return
  [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || die "apt-get cannot install $*; the reason is above"
  echo "setup: no $*, so $skipped are skipped; install the package, or make test CLUSTER=<kubeconfig>" >&2
  return 1
}

setup_cluster() {
  local all="tests with a cluster" nodes="tests with nodes"
  if [ "$(uname)" != Linux ]; then
    echo "setup: no Linux, so $all are skipped; make test CLUSTER=<kubeconfig> uses one you have" >&2
    return
  fi
  in_assets etcd || command -v etcd >/dev/null || install_or_skip "$all" etcd-server || return 0
  command -v openssl >/dev/null || install_or_skip "$all" openssl || return 0
  # shellcheck disable=SC2086 # several words on purpose
  in_assets $CONTROL_PLANE || build_kubernetes
  build_helm
  build_kueue
  fetch_monitoring_definitions
  if [ "$(id -u)" != 0 ]; then
    echo "setup: not root, so $nodes are skipped; make test CLUSTER=<kubeconfig> uses a cluster you have" >&2
    return
  fi
  local missing=()
  [ -e /usr/lib/cni/bridge ] || [ -e /opt/cni/bin/bridge ] || missing+=(containernetworking-plugins)
  command -v containerd >/dev/null || missing+=(containerd)
  command -v runc >/dev/null || missing+=(runc)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v ip >/dev/null || missing+=(iproute2)
  command -v busybox >/dev/null || missing+=(busybox-static)
  [ ${#missing[@]} = 0 ] || install_or_skip "$nodes" "${missing[@]}" || return 0
  missing=()
  command -v buildah >/dev/null || missing+=(buildah)
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  [ ${#missing[@]} = 0 ] || install_or_skip "tests of the images" "${missing[@]}" || return 0
}

case "${1:-python}" in
  python) setup_python ;;
  browser) setup_browser ;;
  prometheus) setup_prometheus ;;
  cluster) setup_cluster ;;
  *) die "knows python, browser, prometheus and cluster, not $1" ;;
esac
