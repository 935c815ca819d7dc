#!/bin/bash
# What the machine does: the first time it is provisioned as the Vagrantfile's server, looked at, and rebooted; the second time
# it is looked at again, and switched off. Each line `ok NAME` is a test that has passed.
exec >/dev/ttyS0 2>&1
export HOME=/root
readonly ADDRESS=192.168.56.10 TOKEN=abcdef.0123456789abcdef
readonly STARTED=/var/lib/accepted-once LIMIT=240
set -o pipefail

. /vagrant/test/vm/accept-systemd.sh

check() { # NAME COMMAND...
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok $name ($(cut -d. -f1 /proc/uptime) s after the start)"
  else
    echo "WRONG $name: $*: $output"
  fi
}

# Until it holds, or the time is up.
await() {
  local end=$((SECONDS + LIMIT))
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.5
  done
}

is() { # WANTED COMMAND...
  local wanted=$1 got
  shift
  got=$("$@") && [ "$got" = "$wanted" ] || { echo "got ${got:-nothing}"; return 1; }
}

node_address() {
  kubectl get node k8ts -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
}

# Three answers of the demo's Service.
demo_answers() {
  local ip
  ip=$(kubectl get service web -o 'jsonpath={.spec.clusterIP}') || return
  for _ in 1 2 3; do curl --silent --fail --max-time 5 "http://$ip/" | grep -q '^web-' || return; done
}

# What the demo's three containers may take, as the kernel has it.
limits_on_v2() {
  local count
  count=$(find /sys/fs/cgroup -path '*kubepods*' -name memory.max -exec grep -lx "$((32 * 1024 * 1024))" {} + | wc -l)
  [ "$count" -ge 3 ] || { echo "found $count"; return 1; }
}

in_journal() { # COMPONENT
  journalctl --unit k8ts --output cat --boot --no-pager | grep -q "\"component\":\"$1\""
}

all_available() {
  is 3 kubectl get deployment web -o 'jsonpath={.status.availableReplicas}' >/dev/null &&
    is True kubectl get node k8ts -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' >/dev/null
}

# It starts with the machine all the same.
stopped() {
  k8ts down && [ "$(systemctl is-active k8ts)" = inactive ] && is enabled systemctl is-enabled k8ts &&
    await none_left
}

none_left() {
  ! pgrep --list-full '^(k8ts|containerd)'
}

first() {
  check 'cgroup v2' is cgroup2fs stat -fc %T /sys/fs/cgroup
  # DNS would take another half a minute of an emulated processor, twice.
  /vagrant/deploy/vagrant.sh server $TOKEN $ADDRESS --no-dns
  check 'provisioned' is 0 echo $?
  check 'service active' is active systemctl is-active k8ts
  check 'service enabled' is enabled systemctl is-enabled k8ts
  check 'private address' is $ADDRESS node_address
  check 'demo answers' await demo_answers
  check 'limits on cgroup v2' await limits_on_v2
  check 'logs in the journal' await in_journal kubelet
  touch $STARTED
  systemctl reboot
}

second() {
  check 'rebooted: node Ready, demo available' await all_available
  check 'rebooted: demo answers' await demo_answers
  check 'rebooted: service active' is active systemctl is-active k8ts
  check 'rebooted: logs in the journal' await in_journal apiserver
  with_systemd
  check 'down: all stopped' stopped
  echo 'all done'
  systemctl poweroff
}

if [ -e $STARTED ]; then second; else first; fi
