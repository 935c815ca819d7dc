import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { parseYaml } from '../../src/api/yaml.ts';

/** Verbs of requests, as metrics have named them, and their methods. */
const METHODS: Readonly<Record<string, string>> = {
  ...{ CREATE: 'POST', POST: 'POST', UPDATE: 'PUT', PUT: 'PUT', PATCH: 'PATCH', APPLY: 'PATCH' },
  ...{ DELETE: 'DELETE', DELETECOLLECTION: 'DELETE' },
};

/** Writes that the API server has answered so far: `VERB resource/subresource code` → how many. */
export type Writes = Map<string, number>;

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

/** Reads the API server's own counters, as the administrator of a kubeconfig. */
export async function writesSoFar(kubeconfig: string): Promise<Writes> {
  const config = (await parseYaml(await readFile(kubeconfig, 'utf8'))) as Kubeconfig;
  const [cluster, user] = [config.clusters[0]?.cluster, config.users[0]?.user];
  if (!cluster || !user) throw new Error(`No access in ${kubeconfig}`);
  const pem = (data: string) => Buffer.from(data, 'base64');
  const text = await fetchText(`${cluster.server}/metrics`, {
    ca: pem(cluster['certificate-authority-data']),
    cert: pem(user['client-certificate-data']),
    key: pem(user['client-key-data']),
  });
  const found: Writes = new Map();
  for (const line of text.split('\n')) {
    const [, labels = '', value = '0'] = /^apiserver_request_total\{(.*)\} (\S+)$/.exec(line) ?? [];
    const of = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const method = METHODS[of('verb')];
    if (!method) continue;
    const [sub, code] = [of('subresource'), of('code')];
    const id = `${method} ${of('resource')}${sub ? `/${sub}` : ''} ${code}`;
    found.set(id, (found.get(id) ?? 0) + Number(value));
  }
  return found;
}

/** What has been added since `before`. */
export function since(before: Writes, after: Writes): Writes {
  const added = [...after].map(([id, n]) => [id, n - (before.get(id) ?? 0)] as const);
  return new Map(added.filter(([, n]) => n > 0));
}

export function total(writes: Writes, matching: (id: string) => boolean = () => true): number {
  return [...writes].reduce((sum, [id, n]) => sum + (matching(id) ? n : 0), 0);
}

function fetchText(url: string, tls: { ca: Buffer; cert: Buffer; key: Buffer }): Promise<string> {
  return new Promise((resolve, reject) => {
    const req = request(url, tls, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
    req.on('error', reject);
    req.end();
  });
}
