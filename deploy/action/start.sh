#!/usr/bin/env bash
# What the composite action does: installs k8ts, starts a cluster with the options given (of `k8ts up`), and hands its
# kubeconfig to the steps that follow, who are not root.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(dirname "$(dirname "$here")")
owner=$(stat -c %u "$repo")

"$repo/deploy/install.sh"
"$repo/bin/k8ts" up --detach "$@"
kubeconfig=$repo/kubeconfig
install -m 600 -o "$owner" /etc/k8ts/admin.conf "$kubeconfig"
echo "KUBECONFIG=$kubeconfig" >>"$GITHUB_ENV"
echo "kubeconfig=$kubeconfig" >>"$GITHUB_OUTPUT"
echo /var/lib/k8ts/tools >>"$GITHUB_PATH"
/var/lib/k8ts/tools/kubectl --kubeconfig "$kubeconfig" get nodes
