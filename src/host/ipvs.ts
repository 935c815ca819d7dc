import { createReadStream } from 'node:fs';
import { run } from './exec.ts';

/** A virtual server of the kernel's load balancer, as `ipvsadm -Ln` tells it. */
export interface VirtualServer {
  /** As ipvsadm takes it: `-t 10.96.0.1:80`, `-u …`, `--sctp-service …`. */
  readonly service: string;
  readonly scheduler: string;
  /** Seconds for which a client stays with its destination. */
  readonly persistent: number | undefined;
  readonly destinations: readonly Destination[];
}

export interface Destination {
  /** `IP:PORT`, IPv6 in brackets. */
  readonly address: string;
  readonly weight: number;
  /** Connections that it has, open or closing. */
  readonly connections: number;
}

export interface Ipvs {
  /** All virtual servers of both families. Rejects when the kernel has no IPVS. */
  list(signal?: AbortSignal): Promise<VirtualServer[]>;
  /** The virtual servers alone, as in `service`: cheap, and so a question for every half minute. */
  services(signal?: AbortSignal): Promise<Set<string>>;
  /** Runs lines of `ipvsadm -R` one after the other; the first that fails ends it. */
  restore(lines: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Sets the time-outs of TCP, TCP after FIN, and UDP, in seconds; 0 leaves one as it is. */
  setTimeouts(seconds: readonly [number, number, number], signal?: AbortSignal): Promise<void>;
}

export const ipvs: Ipvs = {
  async list(signal) {
    return parseVirtualServers((await run('ipvsadm', ['-Ln'], {}, signal)).stdout);
  },
  async services(signal) {
    // The program asks the kernel anew for each server's destinations.
    return await parseServices(createReadStream('/proc/net/ip_vs', { encoding: 'utf8', signal }));
  },
  async restore(lines, signal) {
    if (lines.length === 0) return;
    await run('ipvsadm', ['-R'], { input: `${lines.join('\n')}\n` }, signal);
  },
  async setTimeouts(seconds, signal) {
    if (seconds.every((value) => value === 0)) return;
    await run('ipvsadm', ['--set', ...seconds.map(String)], {}, signal);
  },
};

/** How ipvsadm names a protocol's services. */
export const SERVICE_FLAGS = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' } as const;

/**
 * Reads /proc/net/ip_vs, in any pieces, as with 10,000 servers it is some megabytes: ports, and addresses of IPv4, are
 * hexadecimal there, and IPv6 is written in full.
 */
export async function parseServices(table: AsyncIterable<string>): Promise<Set<string>> {
  const services = new Set<string>();
  let rest = '';
  for await (const piece of table) {
    const text = rest + piece;
    const end = text.lastIndexOf('\n') + 1;
    for (const [, protocol, v6, v4 = '', port = ''] of text.slice(0, end).matchAll(SERVICE)) {
      const ip = v6 === undefined ? dotted(v4) : new URL(`http://[${v6}]`).hostname;
      const flag = SERVICE_FLAGS[protocol as keyof typeof SERVICE_FLAGS];
      services.add(`${flag} ${ip}:${Number.parseInt(port, 16)}`);
    }
    rest = text.slice(end);
  }
  return services;
}

const SERVICE = /^(TCP|UDP|SCTP) +(?:\[([^\]]+)\]|(\w{8})):(\w{4}) /gm;

function dotted(hex: string): string {
  return [0, 2, 4, 6].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
}

/** Reads `ipvsadm -Ln`. */
export function parseVirtualServers(listing: string): VirtualServer[] {
  const servers: (VirtualServer & { destinations: Destination[] })[] = [];
  for (const line of listing.split('\n')) {
    const words = line.trim().split(/\s+/);
    const [first = '', second = '', third = ''] = words;
    if (first === 'TCP' || first === 'UDP' || first === 'SCTP') {
      const at = words.indexOf('persistent');
      servers.push({
        service: `${SERVICE_FLAGS[first]} ${second}`,
        scheduler: third,
        persistent: at < 0 ? undefined : Number(words[at + 1]),
        destinations: [],
      });
    } else if (first === '->' && words.length >= 6) {
      const [, address = '', , weight, active, inactive] = words;
      const connections = Number(active) + Number(inactive);
      servers.at(-1)?.destinations.push({ address, weight: Number(weight), connections });
    }
  }
  return servers.filter(({ service }) => !service.endsWith(' '));
}
