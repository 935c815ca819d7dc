# Sourced by accept.sh, whose functions it uses: the machine gets some swap, and its kubelet and containerd leave the control
# groups to systemd (cgroupDriver: systemd). What the kernel, systemd and AppArmor hold of a Pod then.
readonly CONFIG=/etc/k8ts MEMORY=$((64 * 1024 * 1024)) MOST=$((128 * 1024 * 1024))
readonly CLASS=/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice

swap_on() {
  dd if=/dev/zero of=/swapfile bs=1M count=64 status=none && chmod 600 /swapfile && mkswap --quiet /swapfile && swapon /swapfile
}

# With the configuration as it is written now; the supervisor starts them again.
leave_groups_to_systemd() {
  sed -i 's/"cgroupDriver": "cgroupfs"/"cgroupDriver": "systemd", "memorySwap": { "swapBehavior": "LimitedSwap" }/' $CONFIG/kubelet.json
  sed -i 's/SystemdCgroup = false/SystemdCgroup = true/' $CONFIG/containerd.toml
  grep -q LimitedSwap $CONFIG/kubelet.json && grep -q 'SystemdCgroup = true' $CONFIG/containerd.toml &&
    kill -KILL "$(pgrep --oldest --full '^k8ts kubelet')" "$(pgrep --oldest --exact containerd)"
}

sliced_runs() {
  kubectl apply -f - <<END && kubectl wait --for=condition=Ready pod/sliced --timeout=${LIMIT}s
apiVersion: v1
kind: Pod
metadata: { name: sliced }
spec:
  terminationGracePeriodSeconds: 0
  securityContext: { appArmorProfile: { type: RuntimeDefault } }
  containers:
    - name: main
      image: localhost/k8ts/busybox:1
      command: [sleep, '3600']
      resources: { requests: { cpu: 100m, memory: $MEMORY }, limits: { cpu: 200m, memory: $MOST } }
END
}

# The container's share of the swap is that of its request in the memory, in whole pages.
fair_swap() {
  awk -v request=$MEMORY '/^MemTotal:/ { memory = $2 * 1024 } /^SwapTotal:/ { swap = $2 * 1024 }
    END { printf "%d", int(request / memory * swap / 4096) * 4096 }' /proc/meminfo
}

with_systemd() {
  check 'systemd: swap' swap_on
  check 'systemd: driver' leave_groups_to_systemd
  check 'systemd: Pod runs' sliced_runs
  local uid id slice scope
  uid=$(kubectl get pod sliced -o 'jsonpath={.metadata.uid}')
  id=$(kubectl get pod sliced -o 'jsonpath={.status.containerStatuses[0].containerID}')
  slice=kubepods-burstable-pod${uid//-/_}.slice
  scope=$CLASS/$slice/cri-containerd-${id#containerd://}.scope
  check 'systemd: slice' is $MOST systemctl show --property MemoryMax --value "$slice"
  check 'systemd: scope' is active systemctl is-active "${scope##*/}"
  check 'systemd: memory' is $MOST cat "$scope/memory.max"
  check 'systemd: CPU' is '20000 100000' cat "$scope/cpu.max"
  check 'systemd: CPU of the Pod' is '20000 100000' cat "$CLASS/$slice/cpu.max"
  check 'systemd: swap of the container' is "$(fair_swap)" cat "$scope/memory.swap.max"
  check 'AppArmor' is 'cri-containerd.apparmor.d (enforce)' cat "/proc/$(head -1 "$scope/cgroup.procs")/attr/current"
  kubectl delete pod sliced
  check 'systemd: nothing left' await test ! -e "$CLASS/$slice"
}
