#!/usr/bin/env bash
# Turns a bare Debian machine into a running cluster with a demo. Run again, it changes nothing.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(dirname "$here")
. "$here/lib.sh"

usage() {
  cat <<END
usage: sudo ./deploy/up.sh [--no-demo] [--no-dns] [--root DIR] [--port PORT] [--node-ip IP] [--systemd]
  --no-demo    only the cluster
  --no-dns     without cluster DNS, for one of your own
  --root DIR   keep everything below DIR instead of /
  --port PORT  port of the API server (6443, or that of the last start)
  --node-ip IP address of the node (that of the default route)
  --systemd    as a service of systemd, which starts with the machine
END
}

demo=yes dns=yes root=/ port= node_ip= start=--detach
while [ $# -gt 0 ]; do
  case $1 in
    --no-demo) demo=no ;;
    --no-dns) dns=no ;;
    --root) root=${2:?--root needs a directory}; shift ;;
    --systemd) start=--systemd ;;
    --node-ip) node_ip=${2:?--node-ip needs an address}; shift ;;
    --port) port=${2:?--port needs a number}; shift ;;
    -h | --help) usage; exit ;;
    *) usage >&2; die "unknown option $1" ;;
  esac
  shift
done
root=${root%/}
state=$root/var/lib/k8ts

running() {
  local file=$root/run/k8ts/supervisor.pid pid
  [ -r "$file" ] && pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$file") && [ -n "$pid" ] && [ -d "/proc/$pid" ]
}

# True when some program listens on a TCP port: state 0A of /proc/net/tcp.
listening() {
  local hex
  hex=$(printf '%04X' "$1")
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v p=":$hex" '$4 == "0A" && $2 ~ p"$" { found = 1 } END { exit !found }'
}

# Everything that can be known to be wrong is said before anything is changed.
check_machine() {
  require_debian
  require_root "$@"
  awk '$3 ~ /^cgroup2?$/ { found = 1 } END { exit !found }' /proc/mounts ||
    die "no cgroups are mounted, and containers need them; mount them at /sys/fs/cgroup (systemd does)"
  local where=${root:-/} free
  while [ ! -d "$where" ]; do where=$(dirname "$where"); done
  free=$(df -Pk "$where" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge 1024 ] || die "only $free MiB are free on the disk of $where, and k8ts needs 1024 MiB"
  running && return
  [ -n "$port" ] || port=$(sed -n 's/^  "port": \([0-9]*\),*$/\1/p' "$root/etc/k8ts/cluster.json" 2>/dev/null || true)
  port=${port:-6443}
  ! listening "$port" || die "port $port is taken by another program; stop that, or choose another with --port"
}

start_cluster() {
  local options=($start --root "${root:-/}")
  [ -z "$port" ] || options+=(--port "$port")
  [ -z "$node_ip" ] || options+=(--node-ip "$node_ip")
  [ $dns = yes ] && options+=(--dns) || options+=(--no-dns)
  "$repo/bin/k8ts" up "${options[@]}" | while read -r _ line; do step "$line"; done
}

kubectl() {
  local kubectl=$state/tools/kubectl
  [ -x "$kubectl" ] || kubectl=$(type -P kubectl)
  "$kubectl" --kubeconfig "$root/etc/k8ts/admin.conf" "$@"
}

run_demo() {
  step "Applying deploy/demo/web.yaml"
  kubectl apply -f "$here/demo/web.yaml" | while read -r line; do step "  $line"; done
  kubectl rollout status deployment/web --timeout=120s | while read -r line; do step "  $line"; done
  local ip answers=
  ip=$(kubectl get service web -o 'jsonpath={.spec.clusterIP}')
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    answers+=$(curl --silent --show-error --fail --max-time 5 "http://$ip/")$'\n'
  done
  step "http://$ip/ was answered by:"
  printf '%s' "$answers" | sort | uniq -c | while read -r count pod; do step "  $pod ($count times)"; done
}

# Cluster DNS comes last: its image is large, and nothing before needs it.
await_dns() {
  local system=(-n kube-system) ip name=kubernetes.default.svc.cluster.local answer
  if ! kubectl "${system[@]}" wait --for=create deployment/coredns --timeout=120s >/dev/null ||
    ! kubectl "${system[@]}" rollout status deployment/coredns --timeout=120s >/dev/null; then
    kubectl "${system[@]}" get pods,events >&2 || true
    die "cluster DNS did not start; above are its Pods and their events, and $root/var/log/k8ts/supervisor.log may say more"
  fi
  ip=$(kubectl "${system[@]}" get service kube-dns -o 'jsonpath={.spec.clusterIP}')
  answer=$("$repo/node_modules/.bin/node" "$here/ask-dns.ts" "$ip" $name) ||
    die "cluster DNS runs, but $ip does not answer the name $name; see: kubectl -n kube-system logs deployment/coredns"
  step "Cluster DNS at $ip answers: $name is $answer"
}

check_machine "$@"
running || step "Setting up k8ts on $(. /etc/os-release && echo "$PRETTY_NAME")"
# A cluster below another root leaves the machine's own settings alone.
[ -n "$root" ] || raise_limits
install_k8ts "$repo" "$root"
start_cluster
"$repo/bin/k8ts" kubeconfig merge --root "${root:-/}" | while read -r line; do step "$line"; done
[ $demo = no ] || run_demo
[ $dns = no ] || await_dns
step "Ready. Try: kubectl get pods -A -o wide; k8ts status; README.md has a tour of five minutes"
