import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ApiError, badRequest } from '../../api/errors.ts';
import { invalid, invalidObject } from '../../api/field-errors.ts';
import type { Pod } from '../../api/types.ts';
import { sendByWebSocket } from '../../http/websocket-body.ts';
import { type Exchange, writeHead } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { forward, passOn } from '../http-proxy.ts';
import { containerOf, type Kubelets } from '../kubelets.ts';
import { podAndNode } from '../pod-node.ts';
import type { ResourceKind } from '../resource-kind.ts';

const PARAMETERS = [
  'follow',
  'previous',
  'sinceSeconds',
  'sinceTime',
  'timestamps',
  'tailLines',
  'limitBytes',
  'stream',
] as const;
const MAX_ERROR_BYTES = 2048;

/** GET pods/NAME/log: what the kubelet has of it, as it comes; by a WebSocket if the client wants that. */
export async function podLog(
  deps: HandlerDeps & { nodeKind: ResourceKind; kubelets: Kubelets },
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const { query } = exchange;
  checkOptions(query);
  const { object } = await deps.store.read(target.kind, target);
  const container = containerOf(object as unknown as Pod, query.get('container') ?? '');
  if (!(object as unknown as Pod).spec?.nodeName) {
    // Nobody has anything of it yet.
    if (exchange.upgrade) return sendByWebSocket(exchange.upgrade, Readable.from([]));
    writeHead(exchange, 204, {});
    exchange.res.end();
    return;
  }
  const { node } = await podAndNode(deps, target);
  const asked = new URLSearchParams();
  for (const name of PARAMETERS) {
    const value = query.get(name);
    if (value !== null && value !== 'false') asked.set(name, value);
  }
  const path = `/containerLogs/${target.namespace}/${target.name}/${container}`;
  const url = deps.kubelets.urlOf(node, path, asked.toString());
  const { insecureSkipTLSVerifyBackend } = Object.fromEntries(query);
  const answer = await forward(exchange, {
    url,
    ...(insecureSkipTLSVerifyBackend === 'true'
      ? { tls: { ...deps.kubelets.tls, rejectUnauthorized: false } }
      : { agent: deps.kubelets.agent, tls: deps.kubelets.tls }),
  });
  const code = answer.statusCode ?? 500;
  if (code < 200 || code > 206) throw await refused(answer, code);
  if (exchange.upgrade) return sendByWebSocket(exchange.upgrade, answer);
  await passOn(exchange, answer, { headers: { 'content-type': 'text/plain' } });
}

function checkOptions(query: URLSearchParams): void {
  for (const field of ['tailLines', 'limitBytes', 'sinceSeconds']) {
    const text = query.get(field);
    if (text === null) continue;
    const number = Number(text);
    const least = field === 'tailLines' ? 0 : 1;
    if (Number.isInteger(number) && number >= least) continue;
    const detail = `must be greater than ${least === 0 ? 'or equal to 0' : '0'}`;
    throw invalidObject({ group: '', kind: 'PodLogOptions' }, '', [invalid(field, number, detail)]);
  }
  if (query.has('sinceSeconds') && query.has('sinceTime')) {
    throw badRequest('at most one of `sinceTime` or `sinceSeconds` may be specified');
  }
}

async function refused(answer: IncomingMessage, code: number): Promise<ApiError> {
  let text = '';
  for await (const chunk of answer) {
    text += chunk;
    if (text.length > MAX_ERROR_BYTES) break;
  }
  if (code === 400) return badRequest(text);
  if (code === 404)
    return new ApiError('NotFound', text || 'the server could not find the requested resource');
  return new ApiError('InternalError', `Internal error occurred: ${text}`);
}
