#!/bin/sh
# Installs what the bench compares with and loads with, on Debian 12 or later, as root:
# docker-registry (registry:2), nginx, wrk, and distribution 3 built from its Go module into .tools/bin.
# Starts nothing, and leaves alone what is installed already.
set -eu

distribution=v3.1.1
cd "$(dirname "$0")/.."

missing=
for package in docker-registry nginx wrk util-linux; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
if [ -n "$missing" ]; then
    # Debian starts a service as it installs it; the bench starts its own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' INT TERM
    fi
    apt-get update -q
    # shellcheck disable=SC2086 # a list
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
    if [ -d /run/systemd/system ]; then
        for package in $missing; do
            case $package in
            docker-registry | nginx) systemctl disable --now "$package" || true ;;
            esac
        done
    fi
fi

if [ -x .tools/bin/registry ] && .tools/bin/registry --version | grep -q " $distribution"; then
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "bench/setup.sh: distribution $distribution needs Go 1.25 or later to build: install it and run this again" >&2
    exit 1
fi
mkdir -p .tools/bin
GOBIN="$PWD/.tools/bin" go install \
    -ldflags "-s -w -X github.com/distribution/distribution/v3/version.version=$distribution" \
    "github.com/distribution/distribution/v3/cmd/registry@$distribution"
