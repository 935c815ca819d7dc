#!/usr/bin/env bash
# build-disk.sh KERNEL CACHE DISK INITRD: a server as Debian ships it, with systemd and the kernel package unpacked in KERNEL, and
# this repository in /vagrant, where everything that its scripts would fetch is there already: the machine has no network. The
# first start runs accept.sh of this folder. What comes from Debian is kept in CACHE.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
repo=$(cd "$here/../.." && pwd)
. "$repo/deploy/lib.sh"
kernel=$1 cache=$2 disk=$3 initrd=$4
version=$(ls "$kernel/lib/modules")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
readonly PACKAGES=("${NODE_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}" systemd-sysv dbus udev kmod procps curl apparmor)
# Nobody logs in, nothing is updated, Debian's containerd is not ours, and AppArmor's profiles are for programs that are not here.
readonly SILENT=(serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer
  fstrim.timer containerd.service apparmor.service)

# What package-lock.json says of the packages that are here.
readonly PRODUCTION="
  const { packages } = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
  for (const [path, { dev }] of Object.entries(packages)) if (path && !dev && fs.existsSync(path)) console.log(path);
"

# Debian's part, made once, of the Debian that this machine is of and from where it has its own packages.
base() {
  local list archive suite sources
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mapfile -t sources < <(apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' \
    'Identifier: Packages' 'Origin: Debian' | sort -u)
  [ ${#sources[@]} -gt 0 ] || die "apt knows no packages of Debian: run apt-get update"
  list=$(IFS=,; echo "${PACKAGES[*]}")
  archive=$cache/debian-$(sha256sum <<<"$list" | cut -c1-16).tar
  if [ ! -f "$archive" ]; then
    local options=(--quiet --variant=minbase --dpkgopt=force-unsafe-io "--include=$list") part
    for part in doc man locale; do options+=("--dpkgopt=path-exclude=/usr/share/$part/*"); done
    mmdebstrap "${options[@]}" "$suite" "$work/debian.tar" "${sources[@]}"
    mv "$work/debian.tar" "$archive"
  fi
  mkdir "$root"
  tar -xf "$archive" -C "$root"
  rm -rf "$root"/var/{cache/apt,lib/apt/lists}
}

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
  echo nameserver 10.0.2.3 >"$root/etc/resolv.conf"
  echo k8ts >"$root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 k8ts\n' >"$root/etc/hosts"
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
  local unit
  for unit in "${SILENT[@]}"; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
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

base
repository
network
acceptance
modules
small_initrd
truncate -s 4G "$disk"
mkfs.ext4 -q -F -O ^has_journal -m 0 -d "$root" "$disk"
