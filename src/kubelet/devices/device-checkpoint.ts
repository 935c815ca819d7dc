import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { errnoOf } from '../../util/errors.ts';
import type { AllocateAnswer } from './device-plugin.ts';

/** Devices that a container has. */
export interface DeviceGrant {
  readonly podUid: string;
  readonly container: string;
  readonly resource: string;
  readonly ids: readonly string[];
  readonly answer: AllocateAnswer;
}

interface Data {
  grants: readonly DeviceGrant[];
  /** Resources that plugins have offered, whether or not they are here now. */
  resources: readonly string[];
}

const digest = (data: unknown): string =>
  createHash('sha256').update(JSON.stringify(data)).digest('hex');

/** What has been granted, in one file, so that a restarted kubelet gives no device twice. */
export class DeviceCheckpoint {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Empty when there is none; throws when the file is not what was written. */
  load(): Data {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (err) {
      if (errnoOf(err) === 'ENOENT') return { grants: [], resources: [] };
      throw err;
    }
    const { data, checksum } = JSON.parse(text) as { data: Data; checksum: string };
    if (checksum !== digest(data)) throw new Error(`checkpoint is corrupted: ${this.#file}`);
    return data;
  }

  save(data: Data): void {
    const next = `${this.#file}.new`;
    writeFileSync(next, JSON.stringify({ data, checksum: digest(data) }), { mode: 0o600 });
    renameSync(next, this.#file);
  }
}
