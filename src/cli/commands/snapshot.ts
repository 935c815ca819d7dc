import { Command, InvalidArgumentError } from 'commander';
import { type SnapshotInfo, snapshotStatus } from '../../storage/snapshot.ts';
import { DEFAULT_BUMP, restoreSnapshot, saveDirectory } from '../../storage/store-directory.ts';
import { DATA_DIR } from '../store-options.ts';

/** `k8ts snapshot save|restore|status`: the whole state of a cluster on the embedded store, in one file. */
export function command(): Command {
  const snapshot = new Command('snapshot');
  snapshot
    .command('save <file>')
    .description('Write the state of a store, which may be in use, to a new file')
    .option('--data-dir <dir>', 'directory of the store', DATA_DIR)
    .action(async (file: string, { dataDir }: { dataDir: string }) =>
      print(await saveDirectory(dataDir, file)),
    );
  snapshot
    .command('restore <file>')
    .description('Make a store of a snapshot')
    .option('--data-dir <dir>', 'directory of the new store; it must be empty', DATA_DIR)
    .option(
      '--bump-revision <n>',
      'how many writes may have been made since the snapshot: revisions go on behind them',
      whole,
      DEFAULT_BUMP,
    )
    .action(async (file: string, flags: { dataDir: string; bumpRevision: number }) =>
      print(await restoreSnapshot(file, flags.dataDir, flags.bumpRevision)),
    );
  snapshot
    .command('status <file>')
    .description('Check a snapshot and say what it holds')
    .action(async (file: string) => print(await snapshotStatus(file)));
  return snapshot;
}

function whole(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('It must be a number from 0 on.');
  return Number(text);
}

function print(info: SnapshotInfo): void {
  process.stdout.write(`${JSON.stringify(info)}\n`);
}
