import type { IncomingMessage, ServerResponse } from 'node:http';
import type { UpgradeRequest } from '../http/upgrade.ts';
import type { AuditRecord } from './audit/record.ts';
import { isLongRunning, type RequestInfo } from './request-info.ts';
import type { UserInfo } from './resource-kind.ts';

/** One request and the answer to it, on their way through the handler chain. */
export interface Exchange {
  /** Of this request, in its answer, in the audit log and in the log: the client's own, or a new one. */
  readonly id: string;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Set for a request that wants to leave HTTP: `res` must then not be used. */
  readonly upgrade?: UpgradeRequest;
  readonly query: URLSearchParams;
  readonly info: RequestInfo;
  /** Set by the authentication stage. */
  user: UserInfo;
  /** Lines for the Warning header. */
  readonly warnings: string[];
  /** What it leaves in the audit log. Undefined: nothing. */
  audit?: AuditRecord | undefined;
}

export type Handler = (exchange: Exchange) => Promise<void>;

export const ANONYMOUS: UserInfo = {
  name: 'system:anonymous',
  groups: ['system:unauthenticated'],
};

/** Sends a whole answer. `headers` must say its Content-Type. */
export function send(
  exchange: Exchange,
  code: number,
  body: Buffer,
  headers: Record<string, string> & { 'Content-Type': string },
): void {
  exchange.audit?.sawResponse(code, body);
  writeHead(exchange, code, { 'Content-Length': body.length, ...headers });
  exchange.res.end(exchange.req.method === 'HEAD' ? undefined : body);
}

export function writeHead(
  exchange: Exchange,
  code: number,
  headers: Record<string, string | number>,
): void {
  const { res } = exchange;
  setWarnings(exchange);
  if (isLongRunning(exchange.info)) exchange.audit?.stage('ResponseStarted', code);
  res.writeHead(code, { 'Cache-Control': 'no-cache, private', ...headers });
}

/** Puts the warnings into the head of the answer, whatever it will be. */
export function setWarnings({ res, warnings }: Exchange): void {
  if (warnings.length === 0 || res.headersSent) return;
  res.setHeader('Warning', [...new Set(warnings)].map(warningHeader));
}

/** RFC 7234 §5.5: code, agent (none), quoted text. */
function warningHeader(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, ' ').replace(/[\\"]/g, (c) => `\\${c}`);
  return `299 - "${clean}"`;
}

/** Aborts when the client goes away. Only for requests that wait. */
export function disconnectSignal({ res, upgrade }: Exchange): AbortSignal {
  const controller = new AbortController();
  const connection = upgrade?.socket ?? res;
  connection.on('close', () => controller.abort());
  if (connection.destroyed) controller.abort();
  return controller.signal;
}
