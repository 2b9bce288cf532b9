#!/bin/sh
# Runs every fuzz target of a build for some seconds, each with its seeds from fuzz/corpus/<name>.
# Usage: tools/run-fuzzers.sh BUILD_DIR SECONDS [NAME...]
set -eu
build=$(cd "$1" && pwd); seconds=$2; shift 2  # targets may change their folder
root=$(cd "$(dirname "$0")/.." && pwd)
status=0
for target in "$build"/fuzz_*; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=$(basename "$target")
  if [ $# -gt 0 ]; then case " $* " in *" $name "*) ;; *) continue ;; esac; fi
  work="$build/corpus/$name"
  mkdir -p "$work" "$build/findings"
  seeds=""
  [ -d "$root/fuzz/corpus/$name" ] && seeds="$root/fuzz/corpus/$name"
  echo "== $name, $seconds s"
  # shellcheck disable=SC2086
  if ! "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
      -verbosity=0 -artifact_prefix="$build/findings/$name-" "$work" $seeds; then
    echo "FINDING in $name: see $build/findings/"; status=1
  fi
done
exit $status
