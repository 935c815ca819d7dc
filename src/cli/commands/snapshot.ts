import { Command } from 'commander';
import {
  restoreSnapshot,
  type SnapshotInfo,
  saveSnapshot,
  snapshotStatus,
} from '../../storage/snapshot.ts';

const DATA_DIR = '/var/lib/k8ts/store';

/** `k8ts snapshot save|restore|status`: the whole state of a cluster on the embedded store, in one file. */
export function command(): Command {
  const snapshot = new Command('snapshot');
  snapshot
    .command('save <file>')
    .description('Write the state of a store, which may be in use, to a new file')
    .option('--data-dir <dir>', 'directory of the store', DATA_DIR)
    .action((file: string, { dataDir }: { dataDir: string }) => print(saveSnapshot(dataDir, file)));
  snapshot
    .command('restore <file>')
    .description('Make a store of a snapshot')
    .option('--data-dir <dir>', 'directory of the new store; it must be empty', DATA_DIR)
    .action(async (file: string, { dataDir }: { dataDir: string }) =>
      print(await restoreSnapshot(file, dataDir)),
    );
  snapshot
    .command('status <file>')
    .description('Check a snapshot and say what it holds')
    .action((file: string) => print(snapshotStatus(file)));
  return snapshot;
}

function print(info: SnapshotInfo): void {
  process.stdout.write(`${JSON.stringify(info)}\n`);
}
