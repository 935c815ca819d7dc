#!/usr/bin/env bash
# Stops the cluster of this machine; with --purge nothing of it remains.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(dirname "$here")
. "$here/lib.sh"

purge=no root=/
while [ $# -gt 0 ]; do
  case $1 in
    --purge) purge=yes ;;
    --root) root=${2:?--root needs a directory}; shift ;;
    -h | --help) echo "usage: sudo ./deploy/down.sh [--purge] [--root DIR]"; exit ;;
    *) die "unknown option $1; there are --purge and --root DIR" ;;
  esac
  shift
done
root=${root%/}
require_root "$@"
[ -x "$repo/node_modules/.bin/node" ] || die "node_modules is missing; run 'npm ci' in $repo first"

if [ $purge = yes ]; then
  [ -n "$root" ] || rm -f "$INOTIFY_FILE"
  "$repo/bin/k8ts" kubeconfig remove --root "${root:-/}" | while read -r line; do step "$line"; done
  for name in k8ts kubectl helm; do
    link=$root/usr/local/bin/$name
    case $(readlink "$link" || true) in
      "$repo/bin/k8ts" | "$root/var/lib/k8ts/tools/"*) rm -f "$link" ;;
    esac
  done
fi
options=(--root "${root:-/}")
[ $purge = no ] || options+=(--purge)
"$repo/bin/k8ts" down "${options[@]}" | while read -r _ line; do step "$line"; done
