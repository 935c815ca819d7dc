# Sourced after deploy/lib.sh: a server as Debian ships it, with systemd and what k8ts needs of Debian's packages.
readonly PACKAGES=("${NODE_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}" systemd-sysv dbus udev kmod procps curl apparmor)
# Nobody logs in, nothing is updated, Debian's containerd is not ours, and AppArmor's profiles are for programs that are not here.
readonly SILENT=(serial-getty@ttyS0.service getty@tty1.service console-getty.service apt-daily.timer apt-daily-upgrade.timer
  e2scrub_all.timer fstrim.timer containerd.service apparmor.service)

# debian_server CACHE ROOT: of the Debian that this machine is of and from where it has its own packages. Made once, kept in CACHE.
debian_server() {
  local cache=$1 root=$2 list archive suite sources unit
  list=$(IFS=,; echo "${PACKAGES[*]}")
  archive=$cache/debian-$(sha256sum <<<"$list" | cut -c1-16).tar
  if [ ! -f "$archive" ]; then
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mapfile -t sources < <(apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' \
      'Identifier: Packages' 'Origin: Debian' | sort -u)
    [ ${#sources[@]} -gt 0 ] || die "apt knows no packages of Debian: run apt-get update"
    local options=(--quiet --variant=minbase --dpkgopt=force-unsafe-io "--include=$list") part new=$archive.$$
    for part in doc man locale; do options+=("--dpkgopt=path-exclude=/usr/share/$part/*"); done
    mkdir -p "$cache"
    mmdebstrap --format=tar "${options[@]}" "$suite" "$new" "${sources[@]}"
    mv "$new" "$archive"
  fi
  mkdir -p "$root"
  tar -xf "$archive" -C "$root"
  rm -rf "$root"/var/{cache/apt,lib/apt/lists}
  echo nameserver 10.0.2.3 >"$root/etc/resolv.conf"
  for unit in "${SILENT[@]}"; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
}

name_server() { # ROOT NAME
  echo "$2" >"$1/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$2" >"$1/etc/hosts"
}
