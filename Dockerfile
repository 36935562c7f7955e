# Both images, a target each:
#
#   operator   watches MetaSearch resources, plans their trials, starts workers; ranks with PyTorch on the CPU
#   trainer    runs the trials of a search in its worker pods
#
# They are built from the root of the checkout; docs/images.md has the arguments:
#
#   docker build --target operator -t metasearch-operator .
#   docker build --target trainer -t metasearch-trainer .
#
# TORCH_INDEX, an index of PyTorch's wheels for other hardware (CPU, ROCm, an older CUDA), replaces the locked PyTorch with
# CUDA. The CPU's make the operator's image some GB smaller.

ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG UV_VERSION=0.13.9

# What to install, out of uv.lock. It is copied and not mounted further down, since builders look at what they copy to
# see whether they have the layer already: a change of pyproject.toml that leaves these lists alone costs nothing.
FROM ${BASE} AS requirements
ARG UV_VERSION
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN python3 -m venv /uv && /uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
ARG TORCH_INDEX
WORKDIR /requirements
COPY pyproject.toml uv.lock ./
# A requirement is made one line with its hashes, so that lists can be sorted and compared.
RUN locked() { /uv/bin/uv export --quiet --frozen --no-dev --no-emit-project --no-header --no-annotate "$@"; } && \
    one_line() { sed -e :a -e '/\\$/N; s/\\\n *//; ta' | LC_ALL=C sort; } && \
    locked --extra operator -o long && one_line <long >operator.txt && \
    locked --extra trainer --extra cluster --extra storage -o long && one_line <long >trainer.txt && \
    sed -n 's/^\(torch==[^ ]*\).*/\1/p' trainer.txt >torch.txt && \
    if [ -n "$TORCH_INDEX" ]; then \
      # Without the locked PyTorch and its CUDA.
      for list in operator trainer; do \
        sed -E '/^(torch|triton|nvidia-[^=]*|cuda-[^=]*)(\[[^]]*\])?==/d' $list.txt >kept && mv kept $list.txt || exit; \
      done; \
    else \
      : >torch.txt; \
    fi && \
    LC_ALL=C comm -12 operator.txt trainer.txt >shared.txt && rm long

# What each image runs, with its bytecode, for it starts where nothing can be written; readable for everyone, whatever the
# checkout was.
FROM ${BASE} AS code
COPY core/metasearch /code/operator/metasearch
COPY operator/metasearch_operator /code/operator/metasearch_operator
COPY core/metasearch /code/trainer/metasearch
COPY trainer-image/metasearch_trainer /code/trainer/metasearch_trainer
COPY cli/metasearch_cli /code/trainer/metasearch_cli
COPY LICENSE /code/operator/
COPY LICENSE /code/trainer/
RUN mkdir /code/trainer/bin && \
    printf '#!/bin/sh\nexec python -m metasearch_cli.main "$@"\n' >/code/trainer/bin/metasearch && \
    python3 -m compileall -q --invalidation-mode unchecked-hash /code && \
    chmod -R u=rwX,go=rX /code && chmod 755 /code/trainer/bin/metasearch

# The packages that both images need, PyTorch among them: one layer of one digest, so that whoever keeps both images, as a
# node may, has this large part once.
FROM ${BASE} AS shared
RUN echo "metasearch:x:65532:65532::/tmp:/usr/sbin/nologin" >>/etc/passwd && python3 -m venv --without-pip /opt/venv
COPY --from=requirements /requirements/shared.txt /requirements/torch.txt /opt/requirements/
ARG UV_VERSION
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG TORCH_INDEX
ARG UV_DEFAULT_INDEX
ARG UV_SYSTEM_CERTS
ARG UV_CACHE_DIR=/root/.cache/uv
# uv comes and goes within a layer: old builders lose what is mounted from another stage once that stage is cached.
RUN --mount=type=cache,target=/root/.cache/uv --mount=type=secret,id=netrc,target=/root/.netrc \
    python3 -m venv /tmp/uv && \
    /tmp/uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}" && \
    export UV_LINK_MODE=copy VIRTUAL_ENV=/opt/venv PYC_INVALIDATION_MODE=UNCHECKED_HASH && \
    install="/tmp/uv/bin/uv pip install --compile-bytecode" && \
    $install --require-hashes -r /opt/requirements/shared.txt && \
    if [ -n "$TORCH_INDEX" ]; then \
      $install --no-deps --default-index "$TORCH_INDEX" -r /opt/requirements/torch.txt; \
    fi && \
    rm -rf /tmp/uv

FROM shared AS operator
ARG UV_VERSION
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG UV_DEFAULT_INDEX
ARG UV_SYSTEM_CERTS
ARG UV_CACHE_DIR=/root/.cache/uv
COPY --from=requirements /requirements/operator.txt /opt/requirements/
RUN --mount=type=cache,target=/root/.cache/uv --mount=type=secret,id=netrc,target=/root/.netrc \
    python3 -m venv /tmp/uv && \
    /tmp/uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}" && \
    export UV_LINK_MODE=copy VIRTUAL_ENV=/opt/venv PYC_INVALIDATION_MODE=UNCHECKED_HASH && \
    /tmp/uv/bin/uv pip install --compile-bytecode --require-hashes -r /opt/requirements/operator.txt && \
    rm -rf /tmp/uv
COPY --from=code /code/operator /opt/metasearch
# Nothing is written but to /tmp, and no module is imported from there.
ENV PATH=/opt/venv/bin:/opt/metasearch/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/metasearch \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    MPLCONFIGDIR=/tmp/.cache/matplotlib
USER 65532:65532
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="metasearch-operator" \
      org.opencontainers.image.description="Plans neural architecture searches on a Kubernetes cluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["python", "-m", "metasearch_operator"]

FROM shared AS trainer
# Triton compiles the few lines that launch a kernel on a GPU when it is first used. Without a compiler training goes on,
# with PyTorch's own convolutions at a third of the speed.
ARG TORCH_INDEX
RUN if [ -z "$TORCH_INDEX" ] && command -v apt-get >/dev/null; then \
      apt-get update -qq && apt-get install -qq --yes --no-install-recommends gcc libc6-dev >/dev/null && \
      rm -rf /var/lib/apt/lists/*; \
    fi
ARG UV_VERSION
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG UV_DEFAULT_INDEX
ARG UV_SYSTEM_CERTS
ARG UV_CACHE_DIR=/root/.cache/uv
COPY --from=requirements /requirements/trainer.txt /opt/requirements/
RUN --mount=type=cache,target=/root/.cache/uv --mount=type=secret,id=netrc,target=/root/.netrc \
    python3 -m venv /tmp/uv && \
    /tmp/uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}" && \
    export UV_LINK_MODE=copy VIRTUAL_ENV=/opt/venv PYC_INVALIDATION_MODE=UNCHECKED_HASH && \
    /tmp/uv/bin/uv pip install --compile-bytecode --require-hashes -r /opt/requirements/trainer.txt && \
    rm -rf /tmp/uv
COPY --from=code /code/trainer /opt/metasearch
ENV PATH=/opt/venv/bin:/opt/metasearch/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/metasearch \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    MPLCONFIGDIR=/tmp/.cache/matplotlib
USER 65532:65532
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="metasearch-trainer" \
      org.opencontainers.image.description="Trains and scores the networks of a search" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["python", "-m", "metasearch_trainer.pod"]
