#!/usr/bin/env bash
# Installs what the tests need on a Debian machine and runs all of them. The last line is "N passed, N failed".
# The e2e tests run clusters in network namespaces of their own, below temporary directories.
set -uo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(dirname "$here")
. "$here/lib.sh"
# Besides the node's: what the tests ask, listen and look with.
readonly TEST_PACKAGES=(curl docker-registry docker.io etcd-client etcd-server haproxy procps socat
  ipvsadm ipset qemu-system-x86 busybox-static binutils cpio kmod lz4 mmdebstrap e2fsprogs
  dbus python3-dbus python3-gi gir1.2-glib-2.0)

require_debian
require_root "$@"
install_packages "${NODE_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
install_node_modules "$repo"
fetch_tools
"$repo/node_modules/.bin/node" "$here/images/build.ts" "$repo/node_modules/.cache/images" >/dev/null || die "the images of the tests could not be built"
cd "$repo" || exit 1
export PATH=$repo/node_modules/.bin:$PATH
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
passed=0 failed=0 summary=() wrong=()

# check NAME COMMAND...: a check that is right or wrong as a whole.
check() {
  local name=$1 begin=$SECONDS
  shift
  step "$name"
  if "$@"; then
    summary+=("ok    $name ($((SECONDS - begin)) s)")
  else
    summary+=("WRONG $name ($((SECONDS - begin)) s)")
    failed=$((failed + 1))
  fi
}

# suites NAME...: vitest projects, at the same time; their tests are counted one by one.
suites() {
  local name
  step "$* tests"
  for name in "$@"; do run_suite "$name" & done
  wait
  for name in "$@"; do count_suite "$name"; done
}

run_suite() { # NAME
  local begin=$SECONDS
  vitest run --project "$1" --reporter=default --reporter=json --outputFile.json="$results/$1.json" 2>&1 | tee "$results/$1.log"
  echo "${PIPESTATUS[0]} $((SECONDS - begin))" >"$results/$1.end"
}

count_suite() { # NAME
  local name=$1 code= seconds= counts verdict=ok
  read -r code seconds <"$results/$name.end"
  counts=$(node "$here/test-counts.ts" "$results/$name.json" "$code")
  passed=$((passed + ${counts% *})) failed=$((failed + ${counts#* }))
  [ "${counts#* }" = 0 ] || { verdict=WRONG && wrong+=("$name"); }
  summary+=("$(printf '%-5s' $verdict) $name tests: ${counts% *} passed, ${counts#* } failed ($seconds s)")
}

check 'generated files' npm run -s generate
check 'lint and format' npm run -s lint
check 'types' npm run -s types
check 'import rule' npm run -s imports
check 'dead code' npm run -s deadcode
command -v vagrant >/dev/null && check 'Vagrantfile' vagrant validate --ignore-provider
for name in unit integration network vm; do suites $name; done
suites e2e clusters

# The end of a long log is what people are shown: what went wrong is said there once more.
for name in "${wrong[@]}"; do
  step "What went wrong in the $name tests"
  node "$here/test-failures.ts" "$results/$name.log"
done
step "Summary"
printf '        %s\n' "${summary[@]}"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
