import { dummyDevice } from '../../src/host/dummy-device.ts';
import { type Ipset, ipset } from '../../src/host/ipset.ts';
import { type Iptables, openIptables } from '../../src/host/iptables.ts';
import { type Ipvs, ipvs } from '../../src/host/ipvs.ts';
import { type Nft, nft } from '../../src/host/nft.ts';
import type { ProxyBackend } from '../../src/proxy/backend.ts';
import { IptablesBackend } from '../../src/proxy/iptables/iptables-backend.ts';
import { IpvsBackend } from '../../src/proxy/ipvs/ipvs-backend.ts';
import { NftablesBackend } from '../../src/proxy/nftables/nftables-backend.ts';
import { UserspaceBackend } from '../../src/proxy/userspace/userspace-backend.ts';
import { realClock } from '../../src/util/clock.ts';
import { createLogger } from '../../src/util/log.ts';

/** A backend that remembers every call of a kernel tool that wrote something, to be made again without it. */
export interface Recorded {
  readonly backend: ProxyBackend;
  /** Calls since the last `take`. */
  take(): Replay[];
}

export type Replay = () => Promise<void>;

const log = createLogger('bench', 0);
const RULES = {
  family: 4 as const,
  mark: '0x4000',
  masqueradeAll: false,
  localTraffic: { by: 'cidr' as const, cidrs: ['10.244.0.0/16'] },
  nodeIP: '192.168.77.2',
  nodePortIPs: undefined,
  localhostNodePorts: true,
  tcpLiberal: false,
};

export async function recordedBackend(mode: string): Promise<Recorded> {
  let calls: Replay[] = [];
  /** `tool` with a method whose calls are remembered. */
  const recorded = <T extends object, K extends keyof T>(tool: T, name: K): T => {
    const method = tool[name] as (...args: unknown[]) => Promise<void>;
    const call = async (...args: unknown[]) => {
      calls.push(() => method(args[0]));
      await method(...args);
    };
    return { ...tool, [name]: call };
  };
  const take = () => {
    const taken = calls;
    calls = [];
    return taken;
  };
  return { backend: await open(mode, recorded), take };
}

async function open(
  mode: string,
  recorded: <T extends object, K extends keyof T>(tool: T, name: K) => T,
): Promise<ProxyBackend> {
  if (mode === 'nftables') {
    const tool: Nft = recorded(nft, 'transaction');
    return new NftablesBackend({ nft: tool, log }, () => RULES);
  }
  const iptables: Iptables = recorded(await openIptables(4), 'restore');
  const { randomFully } = iptables;
  if (mode === 'ipvs') {
    const tools: { ipvs: Ipvs; ipset: Ipset } = {
      ipvs: recorded(ipvs, 'restore'),
      ipset: recorded(ipset, 'restore'),
    };
    const device = recorded(dummyDevice('kube-ipvs0'), 'change');
    const deps = { ...tools, device, iptables, clock: realClock, log };
    return new IpvsBackend(deps, () => ({
      ...RULES,
      randomFully,
      scheduler: 'rr',
      nodePortIPs: [RULES.nodeIP],
    }));
  }
  const rules = new IptablesBackend({ iptables, log }, () => ({ ...RULES, randomFully }));
  if (mode === 'iptables') return rules;
  return new UserspaceBackend({ rules, clock: realClock, log }, () => RULES.nodeIP);
}
