#!/bin/sh
# Runs after `npm ci`. npm before version 10 loses the link to the pinned Node.js when it drops the package of another
# machine's, so it is made here; scripts find it first on their PATH. Then what is generated, and the bundle.
set -eu
cd "$(dirname -- "$0")/.."
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "There is no Node.js package for $(uname -m); x86_64 and aarch64 are supported" >&2; exit 1 ;;
esac
ln -sfn "../node-linux-$arch/bin/node" node_modules/.bin/node
npm run -s generate
npm run -s build
