#!/bin/sh
# Objects built with AVX flags must not define anything that other objects could be linked to by
# accident: a shared inline function compiled there would crash processors without AVX. What they
# may define carries the name of its instruction set.
# Usage: tools/check-symbols.sh BUILD_DIR
set -eu
found=$(find "$1/src/CMakeFiles/fathom_kernel.dir/kernel" -path '*avx*' -name '*.o')
[ -n "$found" ] || { echo "no objects for AVX in $1"; exit 1; }
# shellcheck disable=SC2086
bad=$(nm -C $found | grep -E ' [TWVuBDRi] ' | grep -vE 'Avx2|Avx512|avx2_|avx512_|avx512bf16_' || true)
if [ -n "$bad" ]; then
  echo "defined in objects built for AVX:"; echo "$bad"; exit 1
fi
echo "objects built for AVX define only what is theirs"
