import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import type { Cluster } from './cluster.ts';
import { eventually } from './eventually.ts';

export const REGISTRY_USER = { name: 'ann', password: 'opensesame' };
// The same password as htpasswd's bcrypt form.
const HTPASSWD = 'ann:$2b$05$D79PaLNBTTOAoRT1RzCURe/5gPrtRHpa95SKGDX/gXODLxE9ANbtK\n';
const PORT = 5443;

/** Debian's docker-registry in the cluster's network: TLS, and nobody without a password. */
export interface Registry {
  /** `HOST:PORT`, the front of its images' names. */
  readonly host: string;
  /** Where it keeps its blobs. */
  readonly storage: string;
  /** Puts an image of the cluster's store into the registry under this name (`team/app:1`). */
  push(image: string, name: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startRegistry(cluster: Cluster): Promise<Registry> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-registry-'));
  const host = `${cluster.network.address}:${PORT}`;
  const authority = await makeIdentity(directory, cluster.network.address);
  const storage = join(directory, 'storage');
  writeFileSync(join(directory, 'htpasswd'), HTPASSWD);
  writeFileSync(join(directory, 'config.yml'), registryConfig(directory, host, storage));
  trust(cluster, host, authority);
  const child = serve(cluster, directory);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const url = `https://${REGISTRY_USER.name}:${REGISTRY_USER.password}@${host}/v2/`;
  await eventually('the registry answers', () =>
    cluster.network.run('curl', ['--silent', '--fail', '--cacert', authority, url]),
  );
  return {
    host,
    storage,
    async push(image, name) {
      const full = `${host}/${name}`;
      const { socket } = cluster.paths.containerd;
      const ctr = (...args: string[]) =>
        cluster.network.run('ctr', [
          '--address',
          socket,
          '--namespace',
          'k8s.io',
          'images',
          ...args,
        ]);
      await ctr('tag', '--force', image, full);
      const user = `${REGISTRY_USER.name}:${REGISTRY_USER.password}`;
      await ctr('push', '--tlscacert', authority, '--user', user, full);
      await ctr('remove', full);
      return full;
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(join(cluster.paths.containerd.registries, host), { recursive: true, force: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function makeIdentity(directory: string, address: string): Promise<string> {
  const now = Date.now();
  const authority = await createAuthority('registry authority', now);
  const notAfter = certificateEnd(now);
  const names = [address];
  const identity = { commonName: 'registry', names, usages: ['server' as const], notAfter };
  const pair = await issueCertificate(authority, identity, now);
  writeFileSync(join(directory, 'server.crt'), pair.certificate);
  writeFileSync(join(directory, 'server.key'), pair.key);
  writeFileSync(join(directory, 'ca.crt'), authority.certificate);
  return join(directory, 'ca.crt');
}

function registryConfig(directory: string, host: string, storage: string): string {
  return JSON.stringify({
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: storage } },
    http: {
      addr: host,
      tls: { certificate: join(directory, 'server.crt'), key: join(directory, 'server.key') },
    },
    auth: { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } },
  });
}

/** The cluster's containerd believes the registry's certificate. */
function trust(cluster: Cluster, host: string, authority: string): void {
  const directory = join(cluster.paths.containerd.registries, host);
  mkdirSync(directory, { recursive: true });
  // containerd 1.6 takes an authority only here; where this host says no, it asks `server` once more, without one.
  const text = `server = "https://${host}"\n\n[host."https://${host}"]\n  ca = ${JSON.stringify(authority)}\n`;
  writeFileSync(join(directory, 'hosts.toml'), text);
}

function serve(cluster: Cluster, directory: string): ChildProcess {
  const log = openSync(join(directory, 'registry.log'), 'a');
  const [program = '', ...words] = cluster.network.enter;
  const args = [...words, 'docker-registry', 'serve', join(directory, 'config.yml')];
  return spawn(program, args, { stdio: ['ignore', log, log] });
}
