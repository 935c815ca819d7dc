import { badRequest } from '../../api/errors.ts';
import { type StreamRequest, serveStream } from '../../http/streaming.ts';
import type { UpgradeRequest } from '../../http/upgrade.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { containerOf, type Kubelets } from '../kubelets.ts';
import { podAndNode } from '../pod-node.ts';
import { isTrue } from '../request-info.ts';
import type { ResourceKind } from '../resource-kind.ts';

export type StreamDeps = HandlerDeps & { nodeKind: ResourceKind; kubelets: Kubelets };

/** exec and attach of pods/NAME: the kubelet's stream, by SPDY or WebSocket. */
export async function podExec(deps: StreamDeps, exchange: Exchange, target: Target): Promise<void> {
  const { query } = exchange;
  const upgrade = upgradeOf(exchange);
  const kind = target.subresource === 'attach' ? 'attach' : 'exec';
  const { pod, node } = await podAndNode(deps, target);
  const container = containerOf(pod, query.get('container') ?? '');
  const flags = streamFlags(query, kind);
  const asked = new URLSearchParams();
  if (flags.stdin) asked.set('input', '1');
  if (flags.stdout) asked.set('output', '1');
  // A terminal has one output.
  if (flags.stderr && !flags.tty) asked.set('error', '1');
  if (flags.tty) asked.set('tty', '1');
  if (kind === 'exec') {
    const command = query.getAll('command');
    if (command.length === 0) throw badRequest('you must specify at least 1 command for exec');
    for (const word of command) asked.append('command', word);
  }
  const path = `/${kind}/${target.namespace}/${target.name}/${container}`;
  const url = deps.kubelets.urlOf(node, path, asked.toString());
  await stream(deps, upgrade, url, { kind, flags });
}

/** pods/NAME/portforward */
export async function podPortForward(
  deps: StreamDeps,
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const upgrade = upgradeOf(exchange);
  const { node } = await podAndNode(deps, target);
  const asked = new URLSearchParams();
  for (const port of exchange.query.getAll('ports')) asked.append('port', port);
  const path = `/portForward/${target.namespace}/${target.name}`;
  const url = deps.kubelets.urlOf(node, path, asked.toString());
  await stream(deps, upgrade, url, { kind: 'portforward' });
}

function stream(
  { kubelets }: StreamDeps,
  upgrade: UpgradeRequest,
  url: URL,
  request: StreamRequest,
): Promise<void> {
  return serveStream(upgrade, { url, tls: kubelets.tls }, request);
}

function streamFlags(query: URLSearchParams, kind: 'exec' | 'attach') {
  const flag = (name: string): boolean => isTrue(query.get(name));
  const flags = {
    stdin: flag('stdin'),
    stdout: flag('stdout'),
    stderr: flag('stderr'),
    tty: flag('tty'),
  };
  if (!flags.stdin && !flags.stdout && !flags.stderr) {
    throw badRequest(`you must specify at least one of stdin, stdout, stderr for ${kind}`);
  }
  return flags;
}

export function upgradeOf({ upgrade }: Exchange): UpgradeRequest {
  if (!upgrade) throw badRequest('Upgrade request required');
  return upgrade;
}
