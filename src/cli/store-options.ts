import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { EtcdOptions } from '../storage/etcd.ts';

/** Where `k8ts up` keeps the embedded store. */
export const DATA_DIR = '/var/lib/k8ts/store';

export interface EtcdFlags {
  readonly etcdServers?: string;
  readonly etcdCafile?: string;
  readonly etcdCertfile?: string;
  readonly etcdKeyfile?: string;
}

/** Upstream's flags for an etcd cluster. */
export function addEtcdOptions(command: Command): Command {
  return command
    .option('--etcd-servers <urls>', 'endpoints of an etcd cluster, separated by commas')
    .option('--etcd-cafile <file>', 'authorities of its certificates')
    .option('--etcd-certfile <file>', 'client certificate towards it')
    .option('--etcd-keyfile <file>', 'its key');
}

/** Fails for endpoints that are no URLs, and for files that cannot be read. */
export function etcdOptions(servers: string, flags: EtcdFlags): EtcdOptions {
  const endpoints = servers.split(',').map((text) => text.trim());
  for (const endpoint of endpoints) {
    if (!/^https?:\/\/[^/]+\/?$/.test(endpoint)) {
      throw new Error(`--etcd-servers: ${endpoint} is no URL like https://HOST:2379`);
    }
  }
  const read = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : readFileSync(file, 'utf8');
  return {
    endpoints,
    authority: read(flags.etcdCafile),
    certificate: read(flags.etcdCertfile),
    key: read(flags.etcdKeyfile),
  };
}
