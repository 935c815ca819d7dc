import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import type { EtcdOptions } from '../../src/storage/etcd.ts';
import { freePort } from './free-port.ts';

export interface TestEtcd {
  readonly endpoints: readonly string[];
  /** How clients reach it: its endpoints, and with TLS what they believe and show. */
  readonly options: EtcdOptions;
  /** The same in files, as flags name them. Without TLS there are none. */
  readonly files: {
    readonly authority: string;
    readonly certificate: string;
    readonly key: string;
  };
  /** Ends one member; the others go on. */
  kill(member: number): Promise<void>;
  /** A member that was killed comes back with its data. */
  restart(member: number): void;
  /** A member that answers nothing any more while its connections stay open; `false` ends that. */
  freeze(member: number, frozen: boolean): void;
  stop(): Promise<void>;
}

/** A real etcd cluster on free ports of the loopback, in a directory of its own. With TLS it asks for client certificates. */
export async function startEtcd({
  members = 1,
  tls = false,
}: {
  members?: number;
  tls?: boolean;
} = {}): Promise<TestEtcd> {
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
  const credentials = tls ? await makeCredentials(directory) : undefined;
  const start = ({ name, client, peer }: (typeof nodes)[number]): ChildProcess =>
    spawn(
      'etcd',
      [
        ...['--name', name, '--data-dir', join(directory, name)],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', cluster, '--initial-cluster-state', 'new', '--log-level', 'error'],
        // Patient, so that a busy machine does not hold elections all the time.
        ...['--heartbeat-interval', '250', '--election-timeout', '2500'],
        ...(credentials?.serverFlags ?? []),
      ],
      { stdio: 'ignore' },
    );
  const processes = nodes.map(start);
  const end = async (process: ChildProcess | undefined): Promise<void> => {
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    const exited = once(process, 'exit');
    process.kill('SIGKILL');
    await exited;
  };
  const endpoints = nodes.map(({ client }) => client);
  return {
    endpoints,
    options: { endpoints, ...credentials?.pem },
    files: credentials?.files ?? { authority: '', certificate: '', key: '' },
    kill: (member) => end(processes[member]),
    restart(member) {
      const node = nodes[member];
      if (node) processes[member] = start(node);
    },
    freeze: (member, frozen) => {
      processes[member]?.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
    },
    stop: async () => {
      await Promise.all(processes.map(end));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function makeCredentials(directory: string) {
  const now = Date.now();
  const authority = await createAuthority('etcd-ca', now);
  const issue = (commonName: string, usages: readonly ('server' | 'client')[]) =>
    issueCertificate(
      authority,
      {
        commonName,
        names: usages.includes('server') ? ['localhost', '127.0.0.1'] : [],
        usages,
        notAfter: certificateEnd(now),
      },
      now,
    );
  // etcd's gateway is a client of itself.
  const server = await issue('etcd', ['server', 'client']);
  const client = await issue('kube-apiserver-etcd-client', ['client']);
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const ca = file('ca.crt', authority.certificate);
  return {
    pem: {
      authority: authority.certificate,
      certificate: client.certificate,
      key: client.key,
    },
    files: {
      authority: ca,
      certificate: file('client.crt', client.certificate),
      key: file('client.key', client.key),
    },
    serverFlags: [
      ...['--cert-file', file('server.crt', server.certificate)],
      ...['--key-file', file('server.key', server.key)],
      ...['--trusted-ca-file', ca, '--client-cert-auth'],
    ],
  };
}
