#!/bin/sh
# Rooms include only what docs/architecture.md lets them:
#   cli, serve, eval -> engine -> decode, model, kv -> kernel, file, text -> base
# Usage: tools/check-arrows.sh [SOURCE_DIR]
set -eu
cd "${1:-$(dirname "$0")/..}/src"
status=0
allow() {
  room=$1; shift
  allowed=$(echo "$room $*" | tr ' ' '|')
  bad=$(grep -rnE '^#include "[a-z]+/' "$room" 2>/dev/null | grep -vE "#include \"($allowed)/" || true)
  if [ -n "$bad" ]; then
    echo "$room may include: $*"; echo "$bad"; status=1
  fi
}
allow base
allow kernel base
allow file base
allow text base
allow model kernel file base
allow kv kernel file text base
allow decode text base
allow engine decode model kv kernel file text base
allow eval engine decode model kv kernel file text base
allow serve engine decode model kv kernel file text base
allow cli eval serve engine decode model kv kernel file text base
[ $status = 0 ] && echo "all includes follow the arrows"
exit $status
