#!/bin/sh
# Runs every fuzz target for a few seconds from its seeds; fails on the first input that breaks one.
#
#   scripts/fuzz-short.sh [SECONDS] [TARGET…]      default: 5 seconds, every target
#
# Works on stable Rust without cargo-fuzz: it sets the same coverage flags as `cargo fuzz run -s none` does.
# Needs a C++ compiler, for libFuzzer. New inputs are kept in fuzz/corpus, breaking ones in fuzz/artifacts.
set -eu

cd "$(dirname "$0")/.."
seconds=${1:-5}
[ $# -eq 0 ] || shift

case $seconds in
    '' | *[!0-9]*)
        echo "usage: scripts/fuzz-short.sh [SECONDS] [TARGET...]" >&2
        exit 2
        ;;
esac
if ! command -v "${CXX:-c++}" >/dev/null 2>&1; then
    echo "fuzz-short: no C++ compiler; install one (Debian: apt-get install g++) or set CXX" >&2
    exit 1
fi

# Where the instrumented build goes; its flags must not disturb the ordinary build.
target_dir=${FUZZ_TARGET_DIR:-fuzz/target}
triple=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0
    -Ccodegen-units=1
    --cfg fuzzing"

# With --target the flags reach the targets and their crates, but not build scripts and macros, which could not link.
# shellcheck disable=SC2086 # the flags are to be split
RUSTFLAGS=$(echo $flags) cargo build --quiet --locked --release \
    --manifest-path fuzz/Cargo.toml --target "$triple" --target-dir "$target_dir"

if [ $# -eq 0 ]; then
    for source in fuzz/fuzz_targets/*.rs; do
        set -- "$@" "$(basename "$source" .rs)"
    done
fi
for target in "$@"; do
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    log=fuzz/artifacts/$target.log
    # The first directory takes what is new; the seeds are only read.
    if "$target_dir/$triple/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="fuzz/artifacts/$target/" "fuzz/corpus/$target" "fuzz/seeds/$target" >"$log" 2>&1; then
        echo "fuzz-short: $target: $(grep '^Done ' "$log" || echo 'done')"
    else
        cat "$log" >&2
        echo "fuzz-short: $target failed; the input is in fuzz/artifacts/$target/" >&2
        exit 1
    fi
done
