import { networkInterfaces, release } from 'node:os';
import type { Node } from '../api/types.ts';
import { dummyDevice } from '../host/dummy-device.ts';
import { ipset } from '../host/ipset.ts';
import { openIptables } from '../host/iptables.ts';
import { ipvs } from '../host/ipvs.ts';
import { nft } from '../host/nft.ts';
import { realClock } from '../util/clock.ts';
import { cidrContains, familyOf } from '../util/ip.ts';
import type { Logger } from '../util/log.ts';
import type { ProxyBackend, ProxyMode } from './backend.ts';
import type { ProxyConfiguration } from './config.ts';
import type { LocalTraffic } from './local-traffic.ts';
import type { IpFamily } from './model.ts';

export interface BackendDeps {
  /** This node's object, once it is known. */
  readonly node: () => Node | undefined;
  readonly log: Logger;
}

/** The device that holds the addresses of Services in mode ipvs. */
export const IPVS_DEVICE = 'kube-ipvs0';

type Open = (
  family: IpFamily,
  configuration: ProxyConfiguration,
  deps: BackendDeps,
) => Promise<ProxyBackend>;

/** This machine cannot do a mode; the message says why. */
export class ModeUnavailableError extends Error {
  override readonly name = 'ModeUnavailableError';
}

/** The proxy modes. A mode's code is loaded only when it is used. */
const BACKENDS: Record<ProxyMode, Open> = {
  iptables: openIptablesBackend,
  nftables: openNftablesBackend,
  ipvs: openIpvsBackend,
  userspace: openUserspaceBackend,
};

export async function openBackend(
  mode: ProxyMode,
  family: IpFamily,
  configuration: ProxyConfiguration,
  deps: BackendDeps,
): Promise<ProxyBackend> {
  return await BACKENDS[mode](family, configuration, deps);
}

async function openIptablesBackend(
  family: IpFamily,
  configuration: ProxyConfiguration,
  { node, log }: BackendDeps,
): Promise<ProxyBackend> {
  const { IptablesBackend } = await import('./iptables/iptables-backend.ts');
  const iptables = await openIptables(family);
  const { masqueradeAll, masqueradeBit, localhostNodePorts } = configuration.iptables;
  const { nodePortAddresses, conntrack } = configuration;
  return new IptablesBackend({ iptables, log }, () => ({
    family,
    masqueradeAll,
    mark: markOf(masqueradeBit),
    localhostNodePorts,
    tcpLiberal: conntrack.tcpBeLiberal,
    randomFully: iptables.randomFully,
    localTraffic: localTrafficOf(configuration, family, node()),
    nodeIP: nodeIpOf(node(), family),
    nodePortIPs: nodePortIPsOf(nodePortAddresses, family, node()),
  }));
}

async function openNftablesBackend(
  family: IpFamily,
  configuration: ProxyConfiguration,
  { node, log }: BackendDeps,
): Promise<ProxyBackend> {
  const { NftablesBackend, nftablesUnfit } = await import('./nftables/nftables-backend.ts');
  const unfit = nftablesUnfit(release(), await nft.version());
  if (unfit) throw new ModeUnavailableError(unfit);
  const { masqueradeAll, masqueradeBit } = configuration.nftables;
  const { nodePortAddresses } = configuration;
  // Upstream's default for this mode alone: node ports answer on the node's own address only.
  const wanted = nodePortAddresses.length === 0 ? ['primary'] : nodePortAddresses;
  return new NftablesBackend({ nft, log }, () => ({
    family,
    masqueradeAll,
    mark: markOf(masqueradeBit),
    localTraffic: localTrafficOf(configuration, family, node()),
    nodeIP: nodeIpOf(node(), family),
    nodePortIPs: nodePortIPsOf(wanted, family, node()),
  }));
}

async function openIpvsBackend(
  family: IpFamily,
  configuration: ProxyConfiguration,
  { node, log }: BackendDeps,
): Promise<ProxyBackend> {
  const { IpvsBackend } = await import('./ipvs/ipvs-backend.ts');
  const { missingForIpvs } = await import('./ipvs/requirements.ts');
  const host = { ipvs, ipset, device: dummyDevice(IPVS_DEVICE) };
  const { tcpTimeout, tcpFinTimeout, udpTimeout } = configuration.ipvs;
  const scheduler = configuration.ipvs.scheduler || 'rr';
  const missing = await missingForIpvs(host, scheduler);
  if (missing) throw new ModeUnavailableError(`IPVS cannot be used: ${missing}`);
  await ipvs.setTimeouts([tcpTimeout / 1000, tcpFinTimeout / 1000, udpTimeout / 1000]);
  const iptables = await openIptables(family);
  const { masqueradeAll, masqueradeBit } = configuration.iptables;
  const { nodePortAddresses, conntrack } = configuration;
  return new IpvsBackend({ ...host, iptables, clock: realClock, log }, () => ({
    family,
    scheduler,
    masqueradeAll,
    mark: markOf(masqueradeBit),
    tcpLiberal: conntrack.tcpBeLiberal,
    randomFully: iptables.randomFully,
    localTraffic: localTrafficOf(configuration, family, node()),
    nodeIP: nodeIpOf(node(), family),
    nodePortIPs: nodePortIPsOf(nodePortAddresses, family, node()) ?? ownAddresses(family),
  }));
}

async function openUserspaceBackend(
  family: IpFamily,
  configuration: ProxyConfiguration,
  deps: BackendDeps,
): Promise<ProxyBackend> {
  const { UserspaceBackend } = await import('./userspace/userspace-backend.ts');
  const rules = await openIptablesBackend(family, configuration, deps);
  const { node, log } = deps;
  return new UserspaceBackend(
    { rules, clock: realClock, log },
    // Some address of this machine, for as long as its Node object names none.
    () => nodeIpOf(node(), family) ?? ownAddresses(family)[0],
  );
}

/** This machine's addresses that others may know. */
function ownAddresses(family: IpFamily): string[] {
  const own = Object.entries(networkInterfaces()).filter(([device]) => device !== IPVS_DEVICE);
  return own
    .flatMap(([, entries]) => entries ?? [])
    .filter(({ address, internal }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address)
    .filter((address) => familyOf(address) === family);
}

/** `0x4000` for bit 14. */
function markOf(bit: number): string {
  return `0x${(2 ** bit).toString(16)}`;
}

/** The address of the family by which the node is known to the cluster. */
export function nodeIpOf(node: Node | undefined, family: IpFamily): string | undefined {
  return node?.status?.addresses?.find(
    ({ type, address }) => type === 'InternalIP' && familyOf(address) === family,
  )?.address;
}

export function localTrafficOf(
  configuration: ProxyConfiguration,
  family: IpFamily,
  node: Node | undefined,
): LocalTraffic {
  const { detectLocalMode, detectLocal, clusterCIDR } = configuration;
  const ofFamily = (cidrs: readonly string[]): LocalTraffic => {
    const matching = cidrs.map((cidr) => cidr.trim()).filter((cidr) => familyOf(cidr) === family);
    return matching.length === 0 ? { by: 'none' } : { by: 'cidr', cidrs: matching };
  };
  switch (detectLocalMode) {
    case 'ClusterCIDR':
      return ofFamily(clusterCIDR.split(','));
    case 'NodeCIDR':
      return ofFamily(node?.spec?.podCIDRs ?? []);
    case 'BridgeInterface':
      return { by: 'interface', name: detectLocal.bridgeInterface };
    case 'InterfaceNamePrefix':
      return { by: 'interface-prefix', prefix: detectLocal.interfaceNamePrefix };
  }
}

/** The addresses that answer on node ports; undefined: all of this node's. */
export function nodePortIPsOf(
  wanted: readonly string[],
  family: IpFamily,
  node: Node | undefined,
): string[] | undefined {
  if (wanted.length === 0) return undefined;
  if (wanted.length === 1 && wanted[0] === 'primary') {
    const ip = nodeIpOf(node, family);
    return ip === undefined ? [] : [ip];
  }
  const cidrs = wanted.filter((cidr) => familyOf(cidr) === family);
  if (cidrs.some((cidr) => cidr.endsWith('/0'))) return undefined;
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const ips = own.map(({ address }) => address);
  return [...new Set(ips.filter((ip) => cidrs.some((cidr) => cidrContains(cidr, ip))))];
}
