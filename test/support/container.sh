#!/usr/bin/env bash
# container.sh base CACHE ROOT: a server's files, which containers share.
# container.sh start NAME HOME BASE NETWORK GROUP: a server that systemd runs, with the kernel of this machine, the network
# namespace NETWORK, a directory HOME for what it writes and control groups GROUP below those of this process. It ends when the
# server is switched off or rebooted; started again it has the same disk. Its /vagrant is this repository, as a copy.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(cd "$here/../.." && pwd)
. "$repo/deploy/lib.sh"
. "$here/debian.sh"
readonly NAMESPACES=(--mount --propagation private --pid --fork --kill-child --uts --ipc --cgroup)

start() { # NAME HOME BASE NETWORK GROUP
  own_groups "$5"
  exec nsenter --net="/run/netns/$4" unshare "${NAMESPACES[@]}" "$0" boot "$1" "$2" "$3"
}

# POINT TYPE OPTIONS of each hierarchy of control groups, the first if it is mounted twice.
hierarchies() {
  awk '$3 ~ /^cgroup2?$/ && $2 ~ "^/sys/fs/cgroup" && !seen[$3 $4]++ { print $2, $3, $4 }' /proc/self/mounts
}

# Of every hierarchy a group in which this process is: the server will see nothing above it.
own_groups() {
  local point type file controller
  while read -r point type _; do
    if [ "$type" = cgroup2 ]; then
      for controller in $(cat "$point/cgroup.controllers"); do
        echo "+$controller" 2>/dev/null >"$point/cgroup.subtree_control" || step "version 2 has no $controller for servers"
      done
    fi
    mkdir -p "$point/$1"
    for file in cpuset.mems cpuset.cpus; do
      # Those of version 1 are empty in a new group, and nobody could enter it.
      [ "$type" = cgroup2 ] || [ ! -e "$point/$file" ] || cat "$point/$file" >"$point/$1/$file"
    done
    echo $$ >"$point/$1/cgroup.procs"
  done < <(hierarchies)
}

# In namespaces of its own: what a kernel and its boot loader leave to systemd.
boot() { # NAME HOME BASE
  local home=$2 root=$2/root
  mkdir -p "$root"
  [ -e "$home/var" ] || cp -a "$3/var" "$home/var"
  copy "$3" "$home/system" "$root"
  # containerd's layers cannot lie in an overlay.
  mount --bind "$home/var" "$root/var"
  copy "$repo" "$home/vagrant" "$root/vagrant"
  hostname "$1"
  name_server "$root" "$1"
  kernel_files "$root"
  devices "$root" "$home/console"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  cd "$root"
  mkdir -p .before
  pivot_root . .before
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=k8ts sh -c 'umount -l /.before; exec /sbin/init' </dev/null &>/dev/console
}

# What is written goes into WRITTEN.
copy() { # DIRECTORY WRITTEN AT
  mkdir -p "$2"/{upper,work} "$3"
  mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$3"
}

kernel_files() { # ROOT
  local point type options all
  all=$(hierarchies)
  mount -t proc proc "$1/proc"
  # Only read: devices are this machine's, and its udev sees to them.
  mount -t sysfs -o ro sysfs "$1/sys"
  [[ $all == *' cgroup '* ]] && mount -t tmpfs -o mode=755 tmpfs "$1/sys/fs/cgroup"
  while read -r point type options; do
    mkdir -p "$1$point"
    # Of the options those that name a hierarchy; the others are of every mount.
    options=$(tr , '\n' <<<"$options" | grep -vxE 'rw|ro|relatime|noatime|nosuid|nodev|noexec|nsdelegate|memory_recursiveprot' | paste -sd,) || true
    mount -t "$type" ${options:+-o "$options"} "$type" "$1$point"
  done <<<"$all"
}

devices() { # ROOT CONSOLE
  local device
  mount -t tmpfs -o mode=755 tmpfs "$1/dev"
  for device in null zero full random urandom tty; do cp -a "/dev/$device" "$1/dev/"; done
  mkdir "$1"/dev/{pts,shm}
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/dev/pts"
  ln -s pts/ptmx "$1/dev/ptmx"
  ln -s /proc/self/fd "$1/dev/fd"
  mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
  # The kernel's messages are this machine's.
  touch "$1"/dev/{kmsg,console} "$2"
  mount --bind /dev/null "$1/dev/kmsg"
  mount --bind "$2" "$1/dev/console"
}

case $1 in
  base) debian_server "$2" "$3" ;;
  start | boot) "$@" ;;
esac
