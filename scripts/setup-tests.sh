#!/usr/bin/env bash
# Installs what the suites drive: client programs, other registries, real content. Quick when all is there.
# What a package mirror refuses is written down in the cache and said loudly by the test that needs it.
set -euo pipefail

cache=${MCR_TOOLS:-$HOME/.cache/mcr-tools}
go_floor=24
crane_version=v0.21.9
oras_version=v1.3.0
helm_version=v3.19.0
traefik_version=v3.5.0
distribution_version=v3.1.1
grpcurl_version=v1.9.3
schemathesis_version=4.32.5
openapi_validator_version=0.9.0
# Commit 967efdc079b9 of the specification, which tests 1.1 and dev.
conformance_version=v0.0.0-20260716174315-967efdc079b9

say() { printf 'setup: %s\n' "$*" >&2; }

# Debian packages by the program that shows that they are there.
packages=(
    curl:curl update-ca-certificates:ca-certificates skopeo:skopeo podman:podman buildah:buildah dockerd:docker.io containerd:containerd
    ctr:containerd docker-registry:docker-registry nginx:nginx-light wrk:wrk busybox:busybox-static
    cc:gcc c++:g++ tar:tar gzip:gzip mount:mount git:git jq:jq openssl:openssl
    prometheus:prometheus promtool:prometheus prometheus-alertmanager:prometheus-alertmanager
    amtool:prometheus-alertmanager prometheus-pushgateway:prometheus-pushgateway
    htpasswd:apache2-utils ip:iproute2 unshare:util-linux sqlite3:sqlite3 python3:python3
)
# Debian packages without a program, by a file of theirs.
libraries=(
    /usr/lib/python3/dist-packages/yaml/__init__.py:python3-yaml
    /usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream
)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# A mirror that stumbles is asked again; nothing is asked on the terminal.
apt() {
    local try
    for try in 1 2 3; do
        if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
            -o Acquire::Retries=3 "$@" </dev/null >&2; then
            return 0
        fi
        say "apt-get $1 failed ($try of 3)"
        sleep $((try * 5))
    done
    return 1
}

install_packages() {
    local entry missing=()
    for entry in "${packages[@]}"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
    done
    for entry in "${libraries[@]}"; do
        [ -e "${entry%%:*}" ] || missing+=("${entry#*:}")
    done
    [ ${#missing[@]} = 0 ] && return 0
    say "installing ${missing[*]}"
    # The packages must not start daemons of their own: the suites start theirs, on their own directories.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        made=1
    fi
    local status=0
    { apt update && apt install -y --no-install-recommends "${missing[@]}"; } || status=$?
    [ -z "$made" ] || as_root rm -f $policy
    return $status
}

# Debian's static busybox for both platforms, in lists and caches of their own: the machine's stay as they are.
fetch_busybox() {
    local arch=$1 target=$cache/busybox/$1
    [ -x "$target/busybox" ] && return 0
    say "fetching busybox-static for $arch"
    local work
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$target"
    chmod -R a+rwx "$work"
    local options=(
        -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o APT::Sandbox::User=root
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::State::status=/dev/null
    )
    (cd "$work" && apt "${options[@]}" update && apt "${options[@]}" download "busybox-static:$arch")
    dpkg-deb -x "$work"/busybox-static_*.deb "$work/root"
    local found
    for found in "$work/root/bin/busybox" "$work/root/usr/bin/busybox"; do
        if [ -f "$found" ]; then install -m 755 "$found" "$target/busybox.new"; fi
    done
    as_root chown "$(id -u)" "$target/busybox.new"
    mv "$target/busybox.new" "$target/busybox"
    rm -rf "$work"
}

find_go() {
    local go
    for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-1.2*/bin/go; do
        [ -x "$go" ] || continue
        local minor
        minor=$("$go" env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
        if [ "${minor:-0}" -ge $go_floor ]; then
            printf '%s' "$go"
            return 0
        fi
    done
    return 1
}

# install_go NAME PACKAGE@VERSION: NAME in the cache, or NAME.missing with the reason.
install_go() {
    local name=$1 what=$2 program
    program=$(basename "${what%@*}")
    # One that was put there by hand has no stamp and is taken as it is.
    if [ -x "$cache/$name" ] && [ "$(cat "$cache/$name.version" 2>/dev/null || echo "$what")" = "$what" ]; then
        rm -f "$cache/$name.missing"
        return 0
    fi
    local go
    if ! go=$(find_go); then
        printf 'no Go 1.%s or newer on this machine\n' $go_floor >"$cache/$name.missing"
        return 0
    fi
    say "building $what"
    local out
    out=$(mktemp -d)
    if GOBIN=$out CGO_ENABLED=0 GOFLAGS=-buildvcs=false timeout 900 "$go" install "$what" 2>"$out/log"; then
        mv "$out/$program" "$cache/$name"
        echo "$what" >"$cache/$name.version"
        rm -f "$cache/$name.missing"
    else
        printf 'go install %s: %s\n' "$what" "$(tail -n 1 "$out/log" | tr -d '\t')" >"$cache/$name.missing"
        say "$(cat "$cache/$name.missing")"
    fi
    rm -rf "$out"
}

# Traefik has replaced modules, which `go install` refuses, and names a directory of its web pages that its module lacks:
# it is built from a copy with an empty page. That is a large program, minutes of both processors and gigabytes of
# modules: only where asked for (MCR_TRAEFIK_BUILD=1), and its test says loudly where it is not there.
build_traefik() {
    local module=github.com/traefik/traefik/v3
    if [ -x "$cache/traefik" ]; then
        rm -f "$cache/traefik.missing"
        return 0
    fi
    local go
    if ! go=$(find_go); then
        printf 'no Go 1.%s or newer on this machine\n' $go_floor >"$cache/traefik.missing"
        return 0
    fi
    if [ "${MCR_TRAEFIK_BUILD:-}" != 1 ]; then
        echo 'not built, since it takes ten minutes: MCR_TRAEFIK_BUILD=1 scripts/setup-tests.sh' >"$cache/traefik.missing"
        return 0
    fi
    say "building $module@$traefik_version"
    local work
    work=$(mktemp -d)
    if (
        cd "$work" && "$go" mod download -json "$module@$traefik_version" >about.json &&
            cp -r "$(jq -r .Dir about.json)" source && chmod -R u+w source && mkdir -p source/webui/static &&
            echo none >source/webui/static/index.html && cd source &&
            CGO_ENABLED=0 timeout 1800 "$go" build -buildvcs=false -trimpath -o "$cache/traefik.new" ./cmd/traefik
    ) 2>"$work/log"; then
        mv "$cache/traefik.new" "$cache/traefik"
        rm -f "$cache/traefik.missing"
    else
        printf 'go build %s: %s\n' "$module" "$(tail -n 1 "$work/log" | tr -d '\t')" >"$cache/traefik.missing"
        say "$(cat "$cache/traefik.missing")"
    fi
    rm -rf "$work"
}

# Python programs in an environment of their own, and each in the cache by its name, or NAME.missing with the reason.
install_python() {
    local home=$cache/python what="schemathesis==$schemathesis_version openapi-spec-validator==$openapi_validator_version"
    if [ "$(cat "$home/installed" 2>/dev/null)" = "$what" ]; then
        rm -f "$cache/schemathesis.missing" "$cache/openapi-spec-validator.missing"
        return 0
    fi
    say "installing $what"
    local log program
    log=$(mktemp)
    rm -rf "$home"
    # shellcheck disable=SC2086
    if { python3 -m venv "$home" || { apt update && apt install -y --no-install-recommends python3-venv &&
        python3 -m venv "$home"; }; } >"$log" 2>&1 &&
        timeout 600 "$home/bin/pip" install -q --disable-pip-version-check $what >>"$log" 2>&1; then
        for program in schemathesis openapi-spec-validator; do
            ln -sf "$home/bin/$program" "$cache/$program"
            rm -f "$cache/$program.missing"
        done
        printf '%s\n' "$what" >"$home/installed"
    else
        for program in schemathesis openapi-spec-validator; do
            printf 'pip install %s: %s\n' "$what" "$(tail -n 1 "$log" | tr -d '\t')" >"$cache/$program.missing"
        done
        say "$(cat "$cache/schemathesis.missing")"
    fi
    rm -f "$log"
}

main() {
    mkdir -p "$cache"
    install_packages
    fetch_busybox amd64
    fetch_busybox arm64
    install_go crane "github.com/google/go-containerregistry/cmd/crane@$crane_version"
    install_go oras "oras.land/oras/cmd/oras@$oras_version"
    install_go helm "helm.sh/helm/v3/cmd/helm@$helm_version"
    install_go grpcurl "github.com/fullstorydev/grpcurl/cmd/grpcurl@$grpcurl_version"
    install_python
    build_traefik
    install_go registry "github.com/distribution/distribution/v3/cmd/registry@$distribution_version"
    if [ -z "${MCR_CONFORMANCE:-}" ]; then
        install_go oci-conformance \
            "github.com/opencontainers/distribution-spec/conformance@$conformance_version"
    fi
}

main "$@"
