#!/usr/bin/env bash
# vagrant.sh server TOKEN ADDRESS [OPTIONS OF up.sh] | worker TOKEN ADDRESS SERVER: what the Vagrantfile's machines are set up
# with. Done again it changes nothing. ADDRESS is that of the private network.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
role=$1 token=$2 address=$3

case $role in
  server)
    "$here/up.sh" --systemd --node-ip "$address" "${@:4}"
    answer=$(k8ts token create "$token" --ttl 0 2>&1) || k8ts token list | grep -q "^${token%%.*}" || { echo "$answer" >&2; exit 1; }
    ;;
  worker)
    "$here/install.sh"
    [ -e /etc/k8ts/joined.json ] ||
      k8ts join "$4:6443" --token "$token" --discovery-token-unsafe-skip-ca-verification --node-ip "$address"
    k8ts up --systemd
    ;;
esac
