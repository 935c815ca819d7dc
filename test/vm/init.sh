#!/bin/sh
# The guest's first and only program: loads the modules, runs the program named on the kernel's command line with its arguments
# (k8ts.run=run-scenarios,ipvs,nftables:TEXT), tells how it ended and switches the machine off.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
argument() { # NAME: its value on the kernel's command line
  for word in $(cat /proc/cmdline); do
    case $word in "k8ts.$1="*) echo "${word#*=}" ;; esac
  done
}
for module in $(cat /modules/order); do
  insmod "/modules/$module" 2>/tmp/error || echo "insmod $module: $(cat /tmp/error)"
done
ip link set lo up
[ ! -e /sys/class/net/eth0 ] || { ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up; }
# The emulated processor is ten times slower than a real one.
export PROBE_TIMEOUT_MS=2500 NODE_COMPILE_CACHE=/tmp/compile-cache
code=0
set -- $(argument run | sed 's/,/ /g')
program=$1
shift
node "/app/$program.js" "$@" || code=1
echo "RC=$code"
poweroff -f
