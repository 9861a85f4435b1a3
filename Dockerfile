# One image for both programs: the init step, which sets the redirect rules, and the sidecar.
#
#   docker build -t meshproxy .     or     buildah bud -t meshproxy .
#
# BASE is a Debian with Python 3.11 or later as python3, venv included. COMPILE= (empty) leaves the data
# path interpreted.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# Everything that runs here or in the image comes with a hash. Dependencies come first, so that a
# change of the code does not fetch them again.
ARG COMPILE=1
RUN test -z "$COMPILE" || { export DEBIAN_FRONTEND=noninteractive; \
    headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h \
    && apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && { test -e "$headers" || apt-get install --yes --no-install-recommends python3-dev; }; }
COPY requirements.lock requirements-build.lock ./
# The compiler has to know the packages that the data path uses, so they are beside it, too.
RUN python3 -m venv tools \
    && tools/bin/pip install --require-hashes -r requirements-build.lock \
    && { test -z "$COMPILE" || tools/bin/pip install --require-hashes -r requirements.lock; } \
    && python3 -m venv --without-pip /opt/meshproxy \
    && tools/bin/pip --python /opt/meshproxy/bin/python install --no-compile --only-binary :all: \
        --require-hashes -r requirements.lock
COPY . source
# The root file system is read-only when it runs, so bytecode is made here. It is not compared with
# the time of its source, which not every builder keeps.
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels ./source \
    && tools/bin/pip --python /opt/meshproxy/bin/python install --no-compile --no-deps --no-index \
        wheels/*.whl \
    && { test -z "$COMPILE" || tools/bin/python source/scripts/compile.py \
        "$(/opt/meshproxy/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; } \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/meshproxy/lib

FROM ${BASE}
# iptables (both kinds) and nft are the init step's; the sidecar needs neither. Python's own library
# comes without bytecode in some bases.
RUN export DEBIAN_FRONTEND=noninteractive PYTHONDONTWRITEBYTECODE=1 \
    && apt-get update \
    && apt-get install --yes --no-install-recommends iptables nftables \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
    && groupadd --gid 1337 istio-proxy \
    && useradd --uid 1337 --gid 1337 --no-create-home --home-dir / --shell /usr/sbin/nologin \
        --no-log-init istio-proxy \
    && python3 -m compileall -q -x '/(test|tests|lib2to3|idlelib|tkinter|.*-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/meshproxy /opt/meshproxy
# Under Istio's names the program takes the arguments of Istio's programs.
RUN for name in meshproxy istio-iptables istio-clean-iptables pilot-agent; do \
        ln -s /opt/meshproxy/bin/meshproxy "/usr/local/bin/$name" || exit 1; \
    done
ENV PYTHONDONTWRITEBYTECODE=1
USER 1337:1337
WORKDIR /
ENTRYPOINT ["/usr/local/bin/meshproxy"]
CMD ["--help"]

ARG BASE
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="meshproxy" \
      org.opencontainers.image.description="A service-mesh sidecar in Python, and its init step" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
