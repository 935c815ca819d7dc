import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { errorMessage } from '../util/errors.ts';
import {
  dialUpgrade,
  refuseUpgrade,
  splice,
  type UpgradeRequest,
  type UpgradeTarget,
} from './upgrade.ts';

/** Who the client is concerns us alone: the back end is shown our own identity. */
const PRIVATE = /^(authorization|cookie|impersonate-.*|x-remote-.*)$/;
/** Belong to one connection; upgrade and connection are set anew. */
const HOP_BY_HOP = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'content-length',
]);

/**
 * Passes an upgrade request on to `target` and, once that has really upgraded, the bytes both ways until one side
 * ends. Whatever else the back end answers is passed on as the answer. Resolves when the connection is over.
 */
export async function proxyUpgrade(
  client: UpgradeRequest,
  target: UpgradeTarget,
  signal?: AbortSignal,
): Promise<void> {
  const { req, socket, head } = client;
  socket.on('error', () => {});
  let answer: Awaited<ReturnType<typeof dialUpgrade>>;
  try {
    answer = await dialUpgrade(target, req.method ?? 'GET', upgradeHeaders(req), signal);
  } catch (err) {
    const body = `error dialing backend: ${errorMessage(err)}`;
    refuseUpgrade(socket, { code: 502, message: 'Bad Gateway', body });
    return;
  }
  if (answer.kind === 'refused') {
    const { code, message, headers, body } = answer;
    refuseUpgrade(socket, {
      code,
      message,
      body,
      ...(headers['content-type'] ? { contentType: headers['content-type'] } : {}),
    });
    return;
  }
  socket.write(switchingProtocols(answer.headers));
  await splice(socket, answer.socket, answer.head, head);
}

function upgradeHeaders(req: IncomingMessage): OutgoingHttpHeaders {
  const out: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (!HOP_BY_HOP.has(name) && !PRIVATE.test(name)) out[name] = value;
  }
  return { ...out, connection: 'Upgrade', upgrade: req.headers.upgrade ?? '' };
}

function switchingProtocols(headers: IncomingMessage['headers']): string {
  const lines = ['HTTP/1.1 101 Switching Protocols'];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) lines.push(`${name}: ${one}`);
    }
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
