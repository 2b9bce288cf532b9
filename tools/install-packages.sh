#!/bin/sh
# Installs the Debian packages that building and testing Fathom needs, and says which.
# Usage: tools/install-packages.sh [--dev] [--list]
#   --dev   also what `make fuzz`, `make format`, `make tidy` and the sanitizer builds need
#   --list  print the packages and stop
# Packages that are there already are left alone. Needs root or sudo only if something is missing.
set -eu

build="g++ make cmake ninja-build pkg-config libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libhnswlib-dev"
test="libgtest-dev libbenchmark-dev"
dev="clang clang-format clang-tidy libclang-rt-14-dev"

want="$build $test"
list=no
for arg in "$@"; do
  case "$arg" in
    --dev) want="$want $dev" ;;
    --list) list=yes ;;
    *) echo "usage: $0 [--dev] [--list]" >&2; exit 2 ;;
  esac
done
if [ "$list" = yes ]; then echo "$want" | tr ' ' '\n'; exit 0; fi

if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "This is not a Debian system. Install the equivalents of these packages, then run 'make build':" >&2
  echo "  $want" >&2
  exit 0
fi

missing=""
for p in $want; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
if [ -z "$missing" ]; then exit 0; fi

echo "Installing Debian packages:$missing"
as_root=""
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null 2>&1 || { echo "error: these need root. Run: apt-get install$missing" >&2; exit 1; }
  as_root="sudo"
fi
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
