import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../util/errors.ts';

/** What is written beside a published volume, by which it can be taken away after a restart. */
export interface VolumeData {
  driverName: string;
  volumeHandle: string;
  volumeLifecycleMode: 'Persistent' | 'Ephemeral';
  staged: boolean;
  /** The API had a CSIDriver for it. */
  announced: boolean;
  /** A controller attaches it to nodes, and must not take it away while it is mounted. */
  attached: boolean;
}

/** Beside the place where the volume is published. */
export const DATA_FILE = 'vol_data.json';

export async function saveData(directory: string, data: VolumeData): Promise<void> {
  await writeFile(join(directory, DATA_FILE), JSON.stringify(data), { mode: 0o600 });
}

export async function loadData(directory: string): Promise<VolumeData | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, DATA_FILE), 'utf8')) as VolumeData;
  } catch (err) {
    if (errnoOf(err) === 'ENOENT' || errnoOf(err) === 'ENOTDIR') return undefined;
    throw err;
  }
}
