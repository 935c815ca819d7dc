#!/usr/bin/env bash
# build-initrd.sh KERNEL APP OUT: an initial RAM disk with the network tools of this machine, Node and the bundle APP, for the
# kernel package unpacked in KERNEL. The guest starts init.sh of this folder.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
kernel=$1 app=$2 out=$3
version=$(ls "$kernel/lib/modules")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
readonly TOOLS=(dash ip socat ipvsadm ipset xtables-legacy-multi xtables-nft-multi nft conntrack nsenter)
# Small commands; busybox starts fast where every instruction is emulated.
readonly APPLETS=(mount umount insmod sleep cat echo poweroff mkdir ln ls seq sysctl cut grep uname dmesg modprobe true sed arping)
readonly MODULES=(
  virtio_pci virtio_net dummy veth bridge br_netfilter
  ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_sh ip_vs_dh ip_vs_sed ip_vs_nq ip_vs_mh
  nf_conntrack nf_conntrack_netlink
  ip_set ip_set_hash_ip ip_set_hash_ipport ip_set_hash_ipportip ip_set_hash_ipportnet ip_set_bitmap_port
  xt_set xt_ipvs xt_MASQUERADE xt_mark xt_comment xt_conntrack xt_multiport xt_addrtype xt_statistic xt_recent xt_tcpudp xt_nat
  xt_REDIRECT xt_sctp ipt_REJECT ip6t_REJECT
  ip_tables ip6_tables iptable_nat iptable_filter iptable_mangle ip6table_nat ip6table_filter ip6table_mangle
  nf_tables nft_compat nft_chain_nat nft_nat nft_ct nft_masq nft_redir nft_numgen nft_reject_inet nft_reject_ipv4
  nft_reject_ipv6 nft_fib_inet nft_fib_ipv4 nft_fib_ipv6 nft_hash nft_objref sctp
)

copy() { # FILE: to the same place in the guest, unless it is there
  [ -e "$root$1" ] || { mkdir -p "$root$(dirname "$1")"; cp -L "$1" "$root$1"; }
}

libraries() { # FILE...: the libraries that they are linked with
  ldd "$@" 2>/dev/null | grep -oE '/[^ ):]+\.so[^ ):]*' | sort -u
}

mkdir -p "$root"/{bin,sbin,dev,proc,sys,tmp,run,etc,var/lock,usr/bin,usr/sbin,modules,app}
copy /bin/busybox
for applet in "${APPLETS[@]}"; do ln -s busybox "$root/bin/$applet"; done
for tool in "${TOOLS[@]}"; do
  path=$(command -v "$tool")
  real=$(readlink -f "$path")
  copy "$real"
  [ "$path" = "$real" ] || [ -e "$root$path" ] || { mkdir -p "$root$(dirname "$path")"; ln -s "$real" "$root$path"; }
  for library in $(libraries "$real"); do copy "$library"; done
done
ln -sf dash "$root/bin/sh"
[ -e "$root/bin/dash" ] || cp "$(readlink -f /bin/dash)" "$root/bin/dash"
for name in iptables ip6tables; do
  for verb in '' -save -restore; do
    ln -sf xtables-nft-multi "$root/usr/sbin/$name$verb"
    ln -sf xtables-nft-multi "$root/usr/sbin/$name-nft$verb"
    ln -sf xtables-legacy-multi "$root/usr/sbin/$name-legacy$verb"
  done
done
# Matches and targets are loaded as they are named, so no tool is linked with them.
extensions=$(dirname "$(find /usr/lib /lib -name libxt_set.so -print -quit)")
mkdir -p "$root$extensions"
cp "$extensions"/*.so "$root$extensions/"
for library in $(libraries "$extensions"/*.so); do copy "$library"; done
for file in /etc/protocols /etc/services; do [ ! -e "$file" ] || cp "$file" "$root/etc/"; done

node=$(readlink -f "$(command -v node)")
cp "$node" "$root/bin/node"
for library in $(libraries "$node"); do copy "$library"; done
cp -r "$app/." "$root/app/"

[ -f "$kernel/lib/modules/$version/modules.dep" ] || depmod -b "$kernel" "$version"
for module in "${MODULES[@]}"; do
  modprobe -d "$kernel" -S "$version" --show-depends "$module" || echo "$module: not in this kernel" >&2
done | awk '/^insmod/ && !seen[$2]++ { print $2 }' | while read -r file; do
  objcopy --strip-debug -R .BTF "$file" "$root/modules/$(basename "$file")"
  basename "$file" >>"$root/modules/order"
done
cp "$here/init.sh" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | lz4 -l -1 >"$out"
