import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import { freePort } from './free-port.ts';

export interface ApiProcess {
  readonly port: number;
  readonly child: ChildProcess;
  /** What an administrator believes and shows. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  /** As many connections as there are requests at once. */
  readonly agent: Agent;
  /** What it serves with, for a bare server beside it. */
  readonly certificate: string;
  readonly key: string;
  send(method: string, path: string, body?: object | string, type?: string): Promise<ApiAnswer>;
  stop(): Promise<void>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly bytes: number;
  readonly text: string;
}

// More of an answer is only counted.
const KEPT_BYTES = 16 << 20;

export interface ApiProcessOptions {
  /** Flags that say where it stores, given a directory of its own. Default: the embedded store in there. */
  readonly storage?: (directory: string) => readonly string[];
  /** More flags, given the same directory. */
  readonly flags?: (directory: string) => readonly string[];
  /** Options of Node; with them the process has a channel for messages. */
  readonly nodeOptions?: readonly string[];
}

/** A real `k8ts apiserver` process, whose files are in a directory of its own. */
export async function startApiProcess(options: ApiProcessOptions = {}): Promise<ApiProcess> {
  const { storage = (own) => ['--data-dir', join(own, 'data')], flags = () => [] } = options;
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-api-'));
  const now = Date.now();
  const authority = await createAuthority('bench-ca', now);
  const issue = (commonName: string, usage: 'server' | 'client') =>
    issueCertificate(
      authority,
      {
        commonName,
        organizations: usage === 'client' ? ['system:masters'] : [],
        names: usage === 'server' ? ['localhost', '127.0.0.1'] : [],
        usages: [usage],
        notAfter: certificateEnd(now),
      },
      now,
    );
  const serving = await issue('bench', 'server');
  const admin = await issue('admin', 'client');
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const process_ = spawn(
    process.execPath,
    [
      ...['--disable-warning=ExperimentalWarning', ...(options.nodeOptions ?? [])],
      ...[resolve('src/cli/cli.ts'), 'apiserver', ...storage(directory)],
      ...['--secure-port', String(await freePort())],
      ...['--bind-address', '127.0.0.1', '--client-ca-file', file('ca', authority.certificate)],
      ...['--tls-cert-file', file('cert', serving.certificate)],
      ...['--tls-private-key-file', file('key', serving.key)],
      ...flags(directory),
    ],
    { stdio: ['ignore', 'ignore', 'pipe', ...(options.nodeOptions ? ['ipc' as const] : [])] },
  );
  const clear = (): void => rmSync(directory, { recursive: true, force: true });
  const port = await serves(process_).catch((err: unknown) => {
    clear();
    throw err;
  });
  const agent = new Agent({
    keepAlive: true,
    // The default keeps 256: all others would shake hands anew for each request.
    maxFreeSockets: Number.POSITIVE_INFINITY,
    ca: authority.certificate,
    cert: admin.certificate,
    key: admin.key,
  });
  const send = senderOf(agent, port);
  return {
    port,
    child: process_,
    tls: { ca: authority.certificate, cert: admin.certificate, key: admin.key },
    agent,
    certificate: serving.certificate,
    key: serving.key,
    send,
    async stop() {
      agent.destroy();
      const ended = once(process_, 'exit');
      process_.kill('SIGTERM');
      await ended;
      clear();
    },
  };
}

/** How requests are sent to a server on the loopback. */
export function senderOf(agent: Agent, port: number): ApiProcess['send'] {
  return (method, path, body, type = 'application/json') =>
    new Promise((resolve, reject) => {
      const text =
        body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const req = request(
        {
          agent,
          port,
          host: '127.0.0.1',
          method,
          path,
          headers:
            text === undefined
              ? {}
              : { 'content-type': type, 'content-length': Buffer.byteLength(text) },
        },
        (res) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          res.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes < KEPT_BYTES) chunks.push(chunk);
          });
          res.on('end', () =>
            resolve({ status: res.statusCode ?? 0, bytes, text: Buffer.concat(chunks).toString() }),
          );
          res.on('error', reject);
        },
      );
      req.on('error', reject);
      req.end(text);
    });
}

/** The port that the server says it serves on. */
function serves(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.stderr?.on('data', (chunk) => {
      log += chunk;
      const found = /"port":(\d+),"msg":"Serving"/.exec(log);
      if (found) resolve(Number(found[1]));
    });
    child.on('exit', () => reject(new Error(`The API server ended: ${log}`)));
  });
}
