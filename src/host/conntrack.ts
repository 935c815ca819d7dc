import { run } from './exec.ts';

/** A tracked UDP flow: where the client sent its packets, and who answers. */
export interface Flow {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** The source of the answers: the endpoint that the flow was translated to. */
  readonly replySource: string;
  readonly replySourcePort: number;
}

export interface Conntrack {
  udpFlows(family: 4 | 6, signal?: AbortSignal): Promise<Flow[]>;
  /** Forgets a flow, so that its next packet is routed anew. Gone already is fine. */
  deleteUdpFlow(family: 4 | 6, flow: Flow, signal?: AbortSignal): Promise<void>;
}

export const conntrack: Conntrack = {
  async udpFlows(family, signal) {
    const args = ['-L', '-p', 'udp', '-f', familyName(family)];
    const { stdout } = await run('conntrack', args, { acceptExitCodes: [0, 1] }, signal);
    return parseFlows(stdout);
  },
  async deleteUdpFlow(family, flow, signal) {
    const args = ['-D', '-p', 'udp', '-f', familyName(family)];
    args.push('--orig-src', flow.source, '--orig-port-src', String(flow.sourcePort));
    args.push('--orig-dst', flow.destination, '--orig-port-dst', String(flow.destinationPort));
    // 1: no such flow any more.
    await run('conntrack', args, { acceptExitCodes: [0, 1] }, signal);
  },
};

function familyName(family: 4 | 6): string {
  return family === 4 ? 'ipv4' : 'ipv6';
}

/** Reads the lines of `conntrack -L`: two tuples each, the original direction and the reply. */
export function parseFlows(listing: string): Flow[] {
  const flows: Flow[] = [];
  for (const line of listing.split('\n')) {
    const tuples = [...line.matchAll(/src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g)];
    const [original, reply] = tuples;
    if (!original || !reply) continue;
    const [, source = '', destination = '', sourcePort, destinationPort] = original;
    const [, replySource = '', , replySourcePort] = reply;
    flows.push({
      source,
      sourcePort: Number(sourcePort),
      destination,
      destinationPort: Number(destinationPort),
      replySource,
      replySourcePort: Number(replySourcePort),
    });
  }
  return flows;
}
