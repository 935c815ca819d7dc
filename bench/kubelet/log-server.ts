import type { ServerResponse } from 'node:http';
import { listen } from '../../src/http/server.ts';
import { createAuthority } from '../../src/pki/ca.ts';

export interface LogServer {
  /** What kubectl is told, so that it asks this one. */
  readonly flags: readonly string[];
  close(): Promise<void>;
}

const LINES_A_CHUNK = 2500;
const POD = {
  ...{ kind: 'Pod', apiVersion: 'v1', metadata: { name: 'talker', namespace: 'default' } },
  spec: { containers: [{ name: 'main', image: 'none' }] },
};
const PAGES: Readonly<Record<string, object>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    ...{ kind: 'APIResourceList', groupVersion: 'v1' },
    resources: [
      { name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get'] },
      { name: 'pods/log', singularName: '', namespaced: true, kind: 'Pod', verbs: ['get'] },
    ],
  },
  '/api/v1/namespaces/default/pods/talker': POD,
};

/** A server that has one Pod and its log in memory: what kubectl takes at best. */
export async function serveLog(line: string, bytes: number): Promise<LogServer> {
  const { certificate, key } = await createAuthority('localhost', Date.now());
  const chunk = Buffer.from(`${line}\n`.repeat(LINES_A_CHUNK));
  const server = await listen(
    { host: '127.0.0.1', port: 0, certificate, key },
    {
      request(req, res) {
        const path = new URL(req.url ?? '/', 'https://localhost').pathname;
        if (path.endsWith('/log')) return void writeAll(res, chunk, bytes);
        const page = PAGES[path];
        res.writeHead(page ? 200 : 404, { 'Content-Type': 'application/json' });
        res.end(JSON.stringify(page ?? {}));
      },
    },
  );
  const url = `https://127.0.0.1:${server.port}`;
  return {
    flags: ['--server', url, '--insecure-skip-tls-verify', '--token', 'none'],
    close: () => server.close(),
  };
}

async function writeAll(res: ServerResponse, chunk: Buffer, bytes: number): Promise<void> {
  res.writeHead(200, { 'Content-Type': 'text/plain' });
  for (let left = bytes; left > 0; left -= chunk.length) {
    const isTaken = res.write(left < chunk.length ? chunk.subarray(0, left) : chunk);
    if (!isTaken) await new Promise((resolve) => res.once('drain', resolve));
  }
  res.end();
}
