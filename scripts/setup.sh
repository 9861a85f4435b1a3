#!/bin/sh
# Makes the virtual environment that the Makefile's targets run in, and, as root on a Debian-like
# machine, installs the programs that tests and benchmarks use as peers. Prints one line for
# everything that is missing and what is skipped because of it. Safe to run again: it does only
# what has not been done.
#
#   scripts/setup.sh venv [runtime|dev]   print the environment's path (made if need be)
#   scripts/setup.sh compiled             print the path of a compiled copy of this checkout (made if
#                                         need be); of the checkout itself where there is no compiler
#   scripts/setup.sh system TOOL...       install or name the missing system programs
#   scripts/setup.sh go TOOL...           the same for programs that Go builds, into ~/go/bin
#   scripts/setup.sh node                 install the Node package that tests use
set -eu
umask 022  # what is made here is for uid 1337 too

root=$(cd "$(dirname "$0")/.." && pwd -P)

say() { printf 'setup: %s\n' "$*" >&2; }

# The sidecar runs as uid 1337, so every folder above its interpreter must be open to others.
open_to_all() {
    dir=$1
    while [ "$dir" != / ]; do
        case $(stat -c %A "$dir") in *x | *t) ;; *) return 1 ;; esac
        dir=$(dirname "$dir")
    done
}

find_python() {
    for candidate in ${PYTHON:-} /usr/bin/python3 /usr/local/bin/python3 python3.13 python3.12 python3.11 python3; do
        found=$(command -v "$candidate" 2>/dev/null) || continue
        "$found" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if open_to_all "$(dirname "$("$found" -c 'import os, sys; print(os.path.realpath(sys.executable))')")"; then
            echo "$found"
            return
        fi
        fallback=${fallback:-$found}
    done
    if [ -n "${fallback:-}" ]; then
        say "no Python that other users can run: tests that change to uid 1337 are skipped"
        echo "$fallback"
        return
    fi
    return 1
}

venv() {
    wanted=${1:-dev}
    if open_to_all "$root"; then
        env=$root/.venv
    else
        # A clone under a closed home: the environment goes where uid 1337 can reach it.
        env=/var/tmp/meshproxy-venv-$(id -u)-$(printf %s "$root" | cksum | cut -d' ' -f1)
    fi
    if ! python=$(find_python); then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt_install python3 python3-venv
        fi
        python=$(find_python) || {
            say "needs Python 3.11 or later with venv (Debian: apt-get install python3-venv)"
            exit 1
        }
    fi
    case $wanted in runtime) lock=$root/requirements.lock ;; *) lock=$root/requirements-dev.lock ;; esac
    stamp=$env/.stamp-$wanted
    key=$(cat "$lock" "$root/pyproject.toml" | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
        [ -x "$env/bin/python" ] || { say "making $env with $python"; "$python" -m venv "$env"; }
        say "installing $(basename "$lock")"
        "$env/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
        # -B off, so that the first start of the sidecar does not pay for compiling its imports.
        "$env/bin/python" -m compileall -q "$env/lib" >/dev/null 2>&1 || true
        printf '%s' "$key" >"$stamp"
    fi
    site=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    if open_to_all "$root"; then
        printf '%s\n' "$root" >"$site/meshproxy-checkout.pth"
    else
        rm -rf "$site/meshproxy" "$site/iptables"
        cp -r "$root/meshproxy" "$root/iptables" "$site/"
        cp -r "$root/examples" "$site/meshproxy/"
        chmod -R a+rX "$site/meshproxy" "$site/iptables"
    fi
    # As pip writes it: a "#!" line can't hold a path with blanks.
    cat >"$env/bin/meshproxy" <<EOF
#!/bin/sh
'''exec' "$env/bin/python" "\$0" "\$@"
' '''
import sys
from meshproxy.__main__ import main
sys.exit(main())
EOF
    chmod 755 "$env/bin/meshproxy"
    echo "$env"
}

compiled() {
    system cc python3-config
    env=$(venv dev)
    copy=$root/build/compiled
    say "compiling the data path, if something has changed"
    status=0
    "$env/bin/python" "$root/scripts/compile.py" --copy "$copy" || status=$?
    case $status in
    0) echo "$copy" ;;
    3) echo "$root" ;;
    *) exit "$status" ;;
    esac
}

apt_install() {
    say "installing Debian packages: $*"
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1; then
        apt-get update -qq >/dev/null 2>&1 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
            say "could not install: $*"
    fi
}

# tool:package:what is skipped without it
catalogue() {
    cat <<'EOF'
nginx nginx-light tests against a real nginx, and benchmarks (it is their upstream)
haproxy haproxy tests of the PROXY protocol with a real HAProxy, and its row in the benchmark
wrk wrk benchmarks
h2load nghttp2-client tests against real clients of HTTP/2, and benchmarks of it
curl curl tests against a real curl
iptables iptables redirect rules: namespace tests and the full demo
nft nftables tests of the nftables backend
cc gcc the compiled data path
python3-config python3-dev the compiled data path
ip iproute2 network namespaces: namespace tests and the full demo
buildah buildah the test of the container image
debootstrap debootstrap the base of that test, where MESHPROXY_IMAGE_BASE names none
setpriv util-linux running the sidecar as uid 1337
newuidmap uidmap the full demo as a plain user
go golang-go what is built by it: h2spec, gRPC's interop programs
npm npm tests with Node's WebSocket package
node nodejs tests with Node's WebSocket package
chromium chromium the test with a browser's WebSockets
EOF
}

system() {
    missing=
    for tool in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null && continue
        missing="$missing $(catalogue | awk -v t="$tool" '$1 == t {print $2}')"
    done
    if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086
        apt_install $missing
    fi
    for tool in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null && continue
        say "$tool is missing (Debian package $(catalogue | awk -v t="$tool" '$1 == t {print $2}')): skipped is $(catalogue | awk -v t="$tool" '$1 == t {$1 = $2 = ""; print substr($0, 3)}')"
    done
}

# tool package version what is skipped without it
go_catalogue() {
    cat <<'EOF'
h2spec github.com/summerwind/h2spec/cmd/h2spec v2.2.1+incompatible every rule of HTTP/2, case by case
grpc-interop-client google.golang.org/grpc/interop/client v1.85.0 gRPC's own interop cases
grpc-interop-server google.golang.org/grpc/interop/server v1.85.0 gRPC's own interop cases
EOF
}

go_tools() {
    for tool in "$@"; do
        [ -x "$HOME/go/bin/$tool" ] && continue
        command -v go >/dev/null || system go
        command -v go >/dev/null || continue
        # shellcheck disable=SC2046
        go_build $(go_catalogue | grep "^$tool ")
    done
}

go_build() {
    say "building $1"
    # Go names a program after its folder; "client" says too little in a folder of programs.
    made=$(mktemp -d)
    GOBIN=$made go install "$2@$3" >/dev/null 2>&1 && mkdir -p "$HOME/go/bin" &&
        mv "$made/${2##*/}" "$HOME/go/bin/$1" && rmdir "$made" && return
    rm -rf "$made"
    tool=$1
    shift 3
    say "$tool can't be built: skipped is $*"
}

# Node's package for WebSocket tests, in the version that the lock names.
node_packages() {
    place=$HOME/.cache/meshproxy/node
    lock=$root/tests/support/websocket/package-lock.json
    cmp -s "$lock" "$place/.stamp" && return
    command -v npm >/dev/null || system node npm
    command -v npm >/dev/null || return 0
    say "installing Node's package ws"
    mkdir -p "$place"
    cp "$root"/tests/support/websocket/package*.json "$place/"
    if (cd "$place" && npm ci --silent --no-audit --no-fund --ignore-scripts >/dev/null 2>&1); then
        cp "$lock" "$place/.stamp"
    else
        say "could not install ws: tests with Node's WebSocket package are skipped"
    fi
}

case ${1:-} in
venv) shift; venv "$@" ;;
compiled) compiled ;;
system) shift; system "$@" ;;
go) shift; go_tools "$@" ;;
node) node_packages ;;
*) say "usage: scripts/setup.sh venv [runtime|dev] | compiled | system TOOL... | go TOOL... | node"; exit 2 ;;
esac
