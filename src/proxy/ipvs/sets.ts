import type { IpFamily } from '../model.ts';

/** The sets that the iptables rules of this mode look into, with ipset's type. */
export const SET_TYPES = {
  'KUBE-LOOP-BACK': 'hash:ip,port,ip',
  'KUBE-CLUSTER-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-FW': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-SOURCE-IP': 'hash:ip,port,ip',
  'KUBE-LOAD-BALANCER-SOURCE-CIDR': 'hash:ip,port,net',
  'KUBE-NODE-PORT-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-SCTP-HASH': 'hash:ip,port',
  'KUBE-NODE-PORT-LOCAL-SCTP-HASH': 'hash:ip,port',
  'KUBE-HEALTH-CHECK-NODE-PORT': 'bitmap:port',
  'KUBE-IPVS-IPS': 'hash:ip',
} as const;

export type SetName = keyof typeof SET_TYPES;
export const SET_NAMES = Object.keys(SET_TYPES) as SetName[];

// ipset's own limit.
const MAX_LENGTH = 31;

/** The name in the kernel: sets hold one family only, so IPv6 has sets of its own. */
export function kernelName(set: SetName, family: IpFamily): string {
  return family === 4 ? set : set.replace('KUBE-', 'KUBE-6-').slice(0, MAX_LENGTH);
}

/** The line of `ipset restore` that makes a set, with upstream's sizes. */
export function createLine(set: SetName, family: IpFamily): string {
  const type = SET_TYPES[set];
  const name = kernelName(set, family);
  if (type === 'bitmap:port') return `create ${name} ${type} range 0-65535`;
  const inet = family === 4 ? 'inet' : 'inet6';
  return `create ${name} ${type} family ${inet} hashsize 1024 maxelem 65536`;
}
