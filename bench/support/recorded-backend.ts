import { dummyDevice } from '../../src/host/dummy-device.ts';
import { ipset } from '../../src/host/ipset.ts';
import { openIptables } from '../../src/host/iptables.ts';
import { ipvs } from '../../src/host/ipvs.ts';
import { nft } from '../../src/host/nft.ts';
import type { ProxyBackend } from '../../src/proxy/backend.ts';
import { IptablesBackend } from '../../src/proxy/iptables/iptables-backend.ts';
import { IpvsBackend } from '../../src/proxy/ipvs/ipvs-backend.ts';
import { NftablesBackend } from '../../src/proxy/nftables/nftables-backend.ts';
import { UserspaceBackend } from '../../src/proxy/userspace/userspace-backend.ts';
import { realClock } from '../../src/util/clock.ts';
import { createLogger } from '../../src/util/log.ts';

/** A call of a kernel tool that wrote something, as plain data: to be made again without the backend, by any process. */
export interface Call {
  readonly tool: keyof Tools;
  readonly method: string;
  readonly argument: unknown;
}

type Tools = Awaited<ReturnType<typeof openTools>>;

/** A backend that remembers every call of a kernel tool that wrote something. */
export interface Recorded {
  readonly backend: ProxyBackend;
  /** Calls since the last `take`. */
  take(): Call[];
}

const WRITES: Readonly<Record<keyof Tools, readonly string[]>> = {
  nft: ['transaction'],
  iptables: ['restore'],
  ipvs: ['restore'],
  ipset: ['restore'],
  device: ['ensure', 'change'],
};

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

async function openTools() {
  const iptables = await openIptables(4);
  return { nft, iptables, ipvs, ipset, device: dummyDevice('kube-ipvs0') };
}

export async function recordedBackend(mode: string): Promise<Recorded> {
  let calls: Call[] = [];
  const tools = await openTools();
  for (const tool of Object.keys(WRITES) as (keyof Tools)[]) {
    const methods = { ...tools[tool] } as unknown as Methods;
    const wrapped = WRITES[tool].map((method) => [
      method,
      async (given: unknown) => {
        const { argument, passed } = recorded(given);
        calls.push({ tool, method, argument });
        await methods[method]?.(passed);
      },
    ]);
    Object.assign(tools, { [tool]: { ...methods, ...Object.fromEntries(wrapped) } });
  }
  const take = () => {
    const taken = calls;
    calls = [];
    return taken;
  };
  return { backend: open(mode, tools), take };
}

/** The argument as data, and what is passed on in its place. What is read once is noted down as it is read; a signal is left out. */
function recorded(given: unknown): { argument: unknown; passed: unknown } {
  if (given instanceof AbortSignal) return { argument: undefined, passed: undefined };
  const isRead =
    typeof given === 'object' &&
    given !== null &&
    Symbol.iterator in given &&
    !Array.isArray(given);
  if (!isRead) return { argument: given, passed: given };
  const lines: string[] = [];
  return { argument: lines, passed: noted(given as Iterable<string>, lines) };
}

function* noted(lines: Iterable<string>, notes: string[]): Generator<string> {
  for (const line of lines) {
    notes.push(line);
    yield line;
  }
}

type Methods = Record<string, (argument: unknown) => Promise<void>>;

/** Milliseconds that the tools alone take for the same. */
export async function replay(calls: readonly Call[]): Promise<number> {
  const tools = await openTools();
  const started = performance.now();
  for (const { tool, method, argument } of calls) {
    await (tools[tool] as unknown as Methods)[method]?.(argument);
  }
  return performance.now() - started;
}

function open(mode: string, { nft: tool, iptables, ...tools }: Tools): ProxyBackend {
  if (mode === 'nftables') return new NftablesBackend({ nft: tool, log }, () => RULES);
  const { randomFully } = iptables;
  if (mode === 'ipvs') {
    const own = { randomFully, scheduler: 'rr', nodePortIPs: [RULES.nodeIP] };
    const deps = { ...tools, iptables, clock: realClock, log };
    return new IpvsBackend(deps, () => ({ ...RULES, ...own }));
  }
  const rules = new IptablesBackend({ iptables, log }, () => ({ ...RULES, randomFully }));
  if (mode === 'iptables') return rules;
  return new UserspaceBackend({ rules, clock: realClock, log }, () => RULES.nodeIP);
}
