#!/usr/bin/env bash
# Installs k8ts on a server without starting it: `k8ts up` or `k8ts join` do that. With --systemd it starts with the machine.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(dirname "$here")
. "$here/lib.sh"

usage() {
  cat <<END
usage: sudo ./deploy/install.sh [--systemd] [--etcd] [-- OPTIONS OF k8ts up]
  --etcd       etcd too, for clusters of several control planes (k8ts up --etcd stacked) and static Pods
  --systemd    a unit k8ts.service, enabled: the cluster, or the node that has joined one, starts with the machine
END
}

systemd=no etcd=no
while [ $# -gt 0 ]; do
  case $1 in
    --systemd) systemd=yes ;;
    --etcd) etcd=yes ;;
    --) shift; break ;;
    -h | --help) usage; exit ;;
    *) usage >&2; die "unknown option $1" ;;
  esac
  shift
done

install_unit() {
  [ -d /run/systemd/system ] || die "--systemd needs a machine that systemd runs"
  sed "s#@K8TS@#$repo/bin/k8ts#; s#@OPTIONS@#$*#" "$here/systemd/k8ts.service" >/etc/systemd/system/k8ts.service
  systemctl daemon-reload
  systemctl enable --quiet k8ts.service
  step "k8ts.service starts the cluster with the machine; now: systemctl start k8ts"
}

# Debian's package starts an etcd of its own, which would take the ports.
install_etcd() {
  [ ! -d /run/systemd/system ] || systemctl mask --quiet etcd.service
  install_packages etcd-server
}

require_debian
require_root "$@"
[ $etcd = no ] || install_etcd
raise_limits
install_k8ts "$repo" ""
[ $systemd = no ] || install_unit "$@"
step "k8ts is installed. A cluster: k8ts up --detach. A node of another: k8ts join (k8ts token create --print-join-command there)"
