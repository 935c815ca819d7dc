import { Command } from 'commander';
import type { EtcdStorage } from '../../storage/etcd.ts';
import { type Engine, migrate } from '../../storage/migrate.ts';
import { defragment, directoryStatus } from '../../storage/store-directory.ts';
import { realClock } from '../../util/clock.ts';
import { addEtcdOptions, DATA_DIR, type EtcdFlags, etcdOptions } from '../store-options.ts';

interface Flags extends EtcdFlags {
  readonly dataDir: string;
}

/** `k8ts store status|defrag|migrate`: what operators do with either engine. */
export function command(): Command {
  const store = new Command('store');
  const sub = (name: string, description: string): Command =>
    addEtcdOptions(
      store
        .command(name)
        .description(description)
        .option('--data-dir <dir>', 'directory of the embedded store', DATA_DIR),
    );
  sub(
    'status',
    'Say how large a store is and which revision it is at; checks one that is not in use',
  ).action(async (flags: Flags) => print(await status(flags)));
  sub(
    'defrag',
    'Give unused space back: of an embedded store that is not in use, or of every member of an etcd cluster',
  ).action(async (flags: Flags) => print(await defrag(flags)));
  sub(
    'migrate',
    'Move all state from one engine to the other, which must be empty; the API server must be stopped',
  )
    .requiredOption('--from <engine>', 'lmdb or etcd', engine)
    .requiredOption('--to <engine>', 'lmdb or etcd', engine)
    .action(async (flags: Flags & { from: Engine; to: Engine }) => print(await move(flags)));
  return store;
}

function engine(text: string): Engine {
  if (text === 'lmdb' || text === 'etcd') return text;
  throw new Error(`Unknown engine: ${text}; there are lmdb and etcd`);
}

async function status(flags: Flags): Promise<object> {
  if (flags.etcdServers === undefined) return directoryStatus(flags.dataDir);
  return withEtcd(flags, (etcd) => etcd.status());
}

async function defrag(flags: Flags): Promise<object> {
  if (flags.etcdServers === undefined) return defragment(flags.dataDir);
  return withEtcd(flags, async (etcd) => {
    const before = (await etcd.status()).size;
    await etcd.defragment();
    return { before, after: (await etcd.status()).size };
  });
}

async function move(flags: Flags & { from: Engine; to: Engine }): Promise<object> {
  const { from, to, dataDir } = flags;
  if (from === to) throw new Error(`--from and --to are both ${from}`);
  return withEtcd(flags, (etcd) => migrate({ from, dataDir, etcd }));
}

async function withEtcd<T>(flags: Flags, use: (etcd: EtcdStorage) => Promise<T>): Promise<T> {
  if (flags.etcdServers === undefined) throw new Error('--etcd-servers is needed');
  const { EtcdStorage } = await import('../../storage/etcd.ts');
  const etcd = new EtcdStorage(etcdOptions(flags.etcdServers, flags), { clock: realClock });
  try {
    return await use(etcd);
  } finally {
    await etcd.close();
  }
}

function print(fields: object): void {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}
