#!/usr/bin/env bash
# Sets up a bare machine: uv (into .cache where there is none), then the locked Python packages into .venv.
# With the argument `browser`: Chromium for the test that opens a report, on Debian as root; elsewhere it says how.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.9.5
TOOLS=.cache/tools

die() {
  echo "setup: $*" >&2
  exit 1
}

# Debian's packages, where we may install them.
apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  echo "setup: installing $* with apt-get" >&2
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Prints the path of a uv: the machine's own, or one in a virtual environment of its own.
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

case "${1:-python}" in
  python) setup_python ;;
  browser) setup_browser ;;
  *) die "knows python and browser, not $1" ;;
esac
