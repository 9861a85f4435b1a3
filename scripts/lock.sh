#!/bin/sh
# Writes requirements.lock (the program), requirements-dev.lock (tests and tools as well) and
# requirements-build.lock (what makes the wheel): every package pinned, with its hashes.
set -eu
cd "$(dirname "$0")/.."
"$1/bin/python" -m pip install --quiet 'pip-tools>=7.4'
venv=$1
run() { "$venv/bin/python" -m piptools compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate --no-header "$@"; }
run -o requirements.lock pyproject.toml
"$venv/bin/python" - <<'EOF' >requirements-dev.in
import tomllib
print("\n".join(["-r requirements.lock", *tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]]))
EOF
run -o requirements-dev.lock requirements-dev.in
rm requirements-dev.in
"$venv/bin/python" - <<'EOF' >requirements-build.in
import tomllib
print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["build"]))
EOF
run -o requirements-build.lock requirements-build.in
rm requirements-build.in
