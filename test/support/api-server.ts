import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiServer } from '../../src/apiserver/apiserver.ts';
import type { ApiServerOptions } from '../../src/apiserver/options.ts';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import { MemoryStorage } from '../../src/storage/memory.fake.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever the server answers
  readonly body: any;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** Content-Type. Default: JSON, or for PATCH a merge patch. */
  readonly type?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Who a request comes from: the subject of a client certificate. */
export interface TestUser {
  readonly name: string;
  readonly groups: readonly string[];
}

const ADMIN: TestUser = { name: 'admin', groups: ['system:masters'] };

/** A real API server in this process, over an in-memory store, on a free port of the loopback. */
export interface TestApiServer {
  readonly url: string;
  /** The administrator's credentials, for clients of one's own. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  /** A kubeconfig for the administrator, for real clients. */
  readonly kubeconfig: string;
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** Opens a watch; the path must say `watch=1`. */
  watch(path: string, accept?: string): TestWatch;
  /** What the server stores in, for what no client can do. */
  readonly storage: MemoryStorage;
  /** For what its process does to it. */
  readonly apiServer: ApiServer;
  /** The same as another user. */
  as(user: TestUser): Promise<TestApiServer['request']>;
  stop(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever the server says
export type TestEvent = { type: string; object: any };

/** An open watch. */
export interface TestWatch {
  /** Everything received so far. */
  readonly events: readonly TestEvent[];
  /** The HTTP status, once it is known. */
  status(): Promise<number>;
  /** The first `count` events, when they are there. */
  first(count: number): Promise<readonly TestEvent[]>;
  /** Resolves when the server has ended it. */
  ended(): Promise<void>;
  close(): void;
}

export async function startApiServer(
  more: Partial<ApiServerOptions> = {},
  storage = new MemoryStorage(realClock),
): Promise<TestApiServer> {
  const now = Date.now();
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-apiserver-'));
  const authority = await createAuthority('test', now);
  const issue = (
    commonName: string,
    organizations: readonly string[],
    usage: 'server' | 'client',
  ) =>
    issueCertificate(
      authority,
      {
        commonName,
        organizations,
        names: usage === 'server' ? ['localhost', '127.0.0.1'] : [],
        usages: [usage],
        notAfter: certificateEnd(now),
      },
      now,
    );
  const serving = await issue('kube-apiserver', [], 'server');
  const stopping = new AbortController();
  const server = new ApiServer(
    {
      listen: {
        host: '127.0.0.1',
        port: 0,
        certificate: serving.certificate,
        key: serving.key,
        clientAuthority: authority.certificate,
      },
      admission: { enable: ['NodeRestriction'] },
      advertise: '127.0.0.1:6443',
      ...more,
    },
    { storage, clock: realClock, log: silent },
  );
  const ready = Promise.withResolvers<void>();
  const running = server.run(stopping.signal, ready.resolve);
  await Promise.race([ready.promise, running]);
  const url = `https://127.0.0.1:${server.port}`;
  const sessions: ClientHttp2Session[] = [];
  const as = async ({ name, groups }: TestUser) => {
    const { certificate, key } = await issue(name, groups, 'client');
    const session = connect(url, { ca: authority.certificate, cert: certificate, key });
    sessions.push(session);
    return (method: string, path: string, options: RequestOptions = {}) =>
      send(session, method, path, options);
  };
  const admin = await issue(ADMIN.name, ADMIN.groups, 'client');
  const watching = connect(url, {
    ca: authority.certificate,
    cert: admin.certificate,
    key: admin.key,
  });
  sessions.push(watching);
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigOf(url, authority.certificate, admin), { mode: 0o600 });
  return {
    url,
    tls: { ca: authority.certificate, cert: admin.certificate, key: admin.key },
    kubeconfig,
    storage,
    apiServer: server,
    request: await as(ADMIN),
    watch: (path, accept) => openWatch(watching, path, accept),
    as,
    async stop() {
      for (const session of sessions) session.close();
      stopping.abort();
      await running.catch(() => undefined);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function send(
  session: ClientHttp2Session,
  method: string,
  path: string,
  { body, type, accept, headers }: RequestOptions,
): Promise<Answer> {
  const fallback = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const stream = session.request(
    {
      ':method': method,
      ':path': path,
      ...(accept === undefined ? {} : { accept }),
      ...(body === undefined ? {} : { 'content-type': type ?? fallback }),
      ...headers,
    },
    { endStream: body === undefined },
  );
  return new Promise((resolve, reject) => {
    let head: Answer['headers'] = {};
    const chunks: Buffer[] = [];
    stream.on('response', (received) => {
      head = received as Answer['headers'];
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const status = Number((head as Record<string, unknown>)[':status']);
      resolve({ status, headers: head, text, body: parsed(text) });
    });
    if (body !== undefined) stream.end(encoded(body));
  });
}

function openWatch(session: ClientHttp2Session, path: string, accept?: string): TestWatch {
  const stream = session.request({ ':path': path, ...(accept === undefined ? {} : { accept }) });
  const events: TestEvent[] = [];
  const status = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<void>();
  let waiting: (() => void)[] = [];
  let rest = '';
  stream.on('response', (headers) => status.resolve(Number(headers[':status'])));
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) events.push(JSON.parse(line));
    for (const wake of waiting.splice(0)) wake();
  });
  stream.on('error', () => ended.resolve());
  stream.on('close', () => ended.resolve());
  stream.end();
  return {
    events,
    status: () => status.promise,
    ended: () => ended.promise,
    async first(count) {
      while (events.length < count) {
        await new Promise<void>((resolve) => {
          waiting = [...waiting, resolve];
        });
      }
      return events.slice(0, count);
    },
    close: () => stream.close(),
  };
}

function encoded(body: unknown): string | Buffer | undefined {
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return body;
  return JSON.stringify(body);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function kubeconfigOf(
  url: string,
  authority: string,
  admin: { certificate: string; key: string },
): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server: url, 'certificate-authority-data': base64(authority) } },
    ],
    users: [
      {
        name: 'admin',
        user: {
          'client-certificate-data': base64(admin.certificate),
          'client-key-data': base64(admin.key),
        },
      },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  });
}
