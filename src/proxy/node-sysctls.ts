import { availableParallelism } from 'node:os';
import type { Sysctl } from '../host/sysctl.ts';
import type { Logger } from '../util/log.ts';
import type { ProxyConfiguration } from './config.ts';

/** Kernel parameters that routing needs, in writing order. Pure. */
export function wantedSysctls(
  configuration: ProxyConfiguration,
  cores: number,
): { name: string; value: string }[] {
  const { conntrack, mode, iptables } = configuration;
  const wanted = [
    { name: 'net/ipv4/ip_forward', value: '1' },
    { name: 'net/ipv6/conf/all/forwarding', value: '1' },
    // Where br_netfilter is loaded: traffic between Pods of one bridge meets the rules as well.
    { name: 'net/bridge/bridge-nf-call-iptables', value: '1' },
    { name: 'net/bridge/bridge-nf-call-ip6tables', value: '1' },
  ];
  const add = (name: string, value: number) => {
    if (value > 0) wanted.push({ name: `net/netfilter/${name}`, value: String(value) });
  };
  if (conntrack.maxPerCore > 0) {
    add('nf_conntrack_max', Math.max(conntrack.min, conntrack.maxPerCore * cores));
  }
  add('nf_conntrack_tcp_timeout_established', conntrack.tcpEstablishedTimeout / 1000);
  add('nf_conntrack_tcp_timeout_close_wait', conntrack.tcpCloseWaitTimeout / 1000);
  add('nf_conntrack_udp_timeout', conntrack.udpTimeout / 1000);
  add('nf_conntrack_udp_timeout_stream', conntrack.udpStreamTimeout / 1000);
  if (conntrack.tcpBeLiberal) add('nf_conntrack_tcp_be_liberal', 1);
  if (mode === 'iptables' && iptables.localhostNodePorts) {
    wanted.push({ name: 'net/ipv4/conf/all/route_localnet', value: '1' });
  }
  if (mode === 'ipvs') wanted.push(...ipvsSysctls(configuration.ipvs.strictARP));
  return wanted;
}

function ipvsSysctls(strictARP: boolean): { name: string; value: string }[] {
  const wanted = [
    // Without it what IPVS translates could not be masqueraded.
    { name: 'net/ipv4/vs/conntrack', value: '1' },
    // A client's packets to an endpoint that is gone end its entry, so that the next one goes elsewhere.
    { name: 'net/ipv4/vs/expire_nodest_conn', value: '1' },
    { name: 'net/ipv4/vs/expire_quiescent_template', value: '1' },
  ];
  if (!strictARP) return wanted;
  // Nobody but kube-ipvs0's owner answers for its addresses, and it does not answer on other devices.
  return [
    ...wanted,
    { name: 'net/ipv4/conf/all/arp_ignore', value: '1' },
    { name: 'net/ipv4/conf/all/arp_announce', value: '2' },
  ];
}

/** Sets what can be set; a parameter that this kernel or container withholds is logged and left. */
export async function setSysctls(
  configuration: ProxyConfiguration,
  sysctl: Sysctl,
  log: Logger,
): Promise<void> {
  for (const { name, value } of wantedSysctls(configuration, availableParallelism())) {
    const current = await sysctl.get(name);
    if (current === undefined || current === value) continue;
    // A machine tuned for more connections stays as it is.
    if (name.endsWith('nf_conntrack_max') && Number(current) >= Number(value)) continue;
    if (!(await sysctl.set(name, value))) {
      log.warn({ sysctl: name, value, current }, 'Could not set a kernel parameter');
    }
  }
}
