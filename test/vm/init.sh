#!/bin/sh
# The guest's first and only program: loads the modules, runs the behaviours of the proxy modes named on the kernel's command
# line (k8ts.modes=ipvs,nftables:TEXT), tells how it ended and switches the machine off.
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
# The emulated processor is ten times slower than a real one.
export PROBE_TIMEOUT_MS=2500 NODE_COMPILE_CACHE=/tmp/compile-cache
code=0
node /app/run-scenarios.js $(argument modes | sed 's/,/ /g') || code=1
echo "RC=$code"
poweroff -f
