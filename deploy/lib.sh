# Shared by the scripts beside it; source it from bash. No state, only functions.

# The Debian packages that a node needs, and those that the images are made of.
readonly NODE_PACKAGES=(containerd runc containernetworking-plugins iptables conntrack iproute2 util-linux)
readonly IMAGE_PACKAGES=(busybox-static catatonit)

begin_ms=$(date +%s%3N)

# One line of progress, with the seconds since the script began.
step() {
  local ms=$(($(date +%s%3N) - begin_ms))
  printf '%5d.%ds  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*"
}

# Ends the script with one sentence.
die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

require_root() {
  [ "$(id -u)" = 0 ] || die "this needs root; try: sudo $0 $*"
}

# Debian and its children: the packages below are theirs.
require_debian() {
  [ "$(uname -s)" = Linux ] || die "k8ts runs on Linux only; the Vagrantfile starts a machine that fits"
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) die "k8ts runs on x86_64 and aarch64, and this machine is $(uname -m)" ;;
  esac
  local like=
  [ -r /etc/os-release ] && like=$(. /etc/os-release && echo "${ID:-} ${ID_LIKE:-}")
  case " $like " in
    *" debian "*) ;;
    *) die "this system (${like:-unknown}) is not supported; k8ts is installed on Debian 12 and systems like it" ;;
  esac
  command -v apt-get >/dev/null || die "apt-get is missing; k8ts is installed from Debian packages"
}

# Installs those of the named packages that are not there. Asks the archive only when one is missing.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  step "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if ! apt-get -qq update >/dev/null || ! apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null; then
    die "apt-get could not install ${missing[*]}; its message is above"
  fi
}

# npm brings the pinned Node.js and the libraries; the system's Node.js only has to run npm.
install_node_modules() {
  local repo=$1
  command -v npm >/dev/null || install_packages nodejs npm
  if [ ! "$repo/node_modules/.package-lock.json" -nt "$repo/package-lock.json" ]; then
    step "Installing the npm packages of package-lock.json"
    (cd "$repo" && npm ci --no-progress --loglevel=error >&2) || die "npm ci failed; its message is above"
    touch "$repo/node_modules/.package-lock.json"
  fi
  if [ ! -d "$repo/generated" ]; then
    (cd "$repo" && npm run -s generate >&2) || die "npm run generate failed; its message is above"
  fi
}
