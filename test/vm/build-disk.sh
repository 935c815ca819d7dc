#!/usr/bin/env bash
# build-disk.sh KERNEL CACHE DISK INITRD: a server as Debian ships it, with systemd and the kernel package unpacked in KERNEL, and
# this repository in /vagrant, where everything that its scripts would fetch is there already: the machine has no network. The
# first start runs accept.sh of this folder. What comes from Debian is kept in CACHE.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(cd "$here/../.." && pwd)
. "$repo/deploy/lib.sh"
. "$repo/test/support/debian.sh"
kernel=$1 cache=$2 disk=$3 initrd=$4
version=$(ls "$kernel/lib/modules")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
# What package-lock.json says of the packages that are here.
readonly PRODUCTION="
  const { packages } = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
  for (const [path, { dev }] of Object.entries(packages)) if (path && !dev && fs.existsSync(path)) console.log(path);
"

# The repository as `npm ci` leaves it, without what only development needs, and installed as on any server.
repository() {
  local target=$root/vagrant
  mkdir -p "$target/node_modules/.cache"
  cd "$repo"
  [ dist/lib/cli.js -nt package-lock.json ] && [ -z "$(find src -newer dist/lib/cli.js -print -quit)" ] || node scripts/build.ts
  tar -cf - --exclude=./node_modules --exclude=./.git . | tar -xf - -C "$target"
  node -e "$PRODUCTION" >"$work/modules"
  tar -cf - node_modules/{.bin,.installed,.cache/tools} -T "$work/modules" | tar -xf - -C "$target"
  # The disk knows whole seconds only, and the images are made anew when the time of a file has changed.
  find "$target" -type f -exec touch -d "@$(date +%s)" {} +
  chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin /vagrant/deploy/install.sh >&2
}

# As Vagrant's machines have it: a network that leads outside, the same for all, and one among them.
network() {
  local folder=$root/etc/systemd/network
  network_file 52:54:00:00:00:01 10.0.2.15/24 Gateway=10.0.2.2 >"$folder/10-nat.network"
  network_file 52:54:00:00:00:02 192.168.56.10/24 >"$folder/20-private.network"
  name_server "$root" k8ts
  enable systemd-networkd.service
}

network_file() { # MAC ADDRESS [LINE]
  printf '[Match]\nMACAddress=%s\n[Network]\nAddress=%s\n%s\n' "$1" "$2" "${3:-}"
}

enable() { # UNIT
  chroot "$root" systemctl --quiet enable "$1"
}

acceptance() {
  install -m 755 "$here/accept.sh" "$root/opt/accept.sh"
  cat >"$root/etc/systemd/system/acceptance.service" <<END
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/opt/accept.sh
TimeoutStartSec=infinity
[Install]
WantedBy=graphical.target
END
  enable acceptance.service
}

modules() {
  cp -a "$kernel/lib/modules" "$root/lib/"
  depmod -b "$root" "$version"
}

# Only as much as finds the disk.
small_initrd() {
  local tree=$work/initrd file
  mkdir -p "$tree"/{bin,dev,proc,root,modules}
  cp /bin/busybox "$tree/bin/"
  for file in virtio_pci virtio_blk; do
    modprobe -d "$root" -S "$version" --show-depends "$file"
  done | awk '/^insmod/ && !seen[$2]++ { print $2 }' | while read -r file; do
    cp "$file" "$tree/modules/"
    basename "$file" >>"$tree/modules/order"
  done
  install -m 755 "$here/init-disk.sh" "$tree/init"
  (cd "$tree" && find . | cpio -o -H newc --quiet) | lz4 -l -1 >"$initrd"
}

debian_server "$cache" "$root"
repository
network
acceptance
modules
small_initrd
truncate -s 4G "$disk"
mkfs.ext4 -q -F -O ^has_journal -m 0 -d "$root" "$disk"
