import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestEtcd {
  readonly endpoints: readonly string[];
  /** Ends one member; the others go on. */
  kill(member: number): Promise<void>;
  stop(): Promise<void>;
}

/** True where Debian's etcd-server is installed. */
export const hasEtcd = (): boolean => spawnSync('etcd', ['--version']).status === 0;

/** A real etcd cluster on free ports of the loopback, in a directory of its own. */
export async function startEtcd(
  members = 1,
  tls?: { authority: string; certificate: string; key: string },
): Promise<TestEtcd> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-etcd-'));
  const scheme = tls ? 'https' : 'http';
  const nodes = await Promise.all(
    Array.from({ length: members }, async (_, i) => ({
      name: `m${i}`,
      client: `${scheme}://127.0.0.1:${await freePort()}`,
      peer: `http://127.0.0.1:${await freePort()}`,
    })),
  );
  const cluster = nodes.map(({ name, peer }) => `${name}=${peer}`).join(',');
  const processes = nodes.map(({ name, client, peer }) =>
    spawn('etcd', [
      ...['--name', name, '--data-dir', join(directory, name)],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', cluster, '--initial-cluster-state', 'new', '--log-level', 'error'],
      // Patient, so that a busy machine does not hold elections all the time.
      ...['--heartbeat-interval', '250', '--election-timeout', '2500'],
      ...(tls
        ? [
            ...['--cert-file', tls.certificate, '--key-file', tls.key],
            ...['--trusted-ca-file', tls.authority, '--client-cert-auth'],
          ]
        : []),
    ]),
  );
  const end = async (process: ChildProcess): Promise<void> => {
    if (process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  };
  return {
    endpoints: nodes.map(({ client }) => client),
    kill: async (member) => {
      const process = processes[member];
      if (process) await end(process);
    },
    stop: async () => {
      await Promise.all(processes.map(end));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
