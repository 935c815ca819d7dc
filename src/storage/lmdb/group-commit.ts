import { statfsSync } from 'node:fs';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { StorageError, type StorageEvent } from '../storage.ts';
import { Batch } from './batch.ts';
import { FileRoom } from './file-room.ts';
import type { Tables } from './tables.ts';

/** Decides on one write: looks at the batch, adds to it. Must not throw after it has added something. */
type Job<T> = (batch: Batch) => T;

interface Waiting {
  decide(batch: Batch): void;
  succeed(): void;
  fail(err: unknown): void;
}

export interface GroupCommitOptions {
  /** The revision of the last write. */
  readonly revision: number;
  /** Called in order with what has become durable, before the writers hear of it. */
  committed(events: readonly StorageEvent[]): void;
}

// What one commit takes on. Many smaller ones overlap: while one is flushed, the writers of the one before go on; and the
// event loop is not held up by a thousand of them at once.
const MOST_JOBS = 128;
// A disk that does not answer for so long is taken for broken: lmdb itself would wait for ever.
const STUCK_MS = 60_000;
const NEARLY_FULL_BYTES = 16 * 2 ** 20;

/**
 * Group commit: while one batch is being flushed by lmdb's own thread, writes gather for the next. Batches follow
 * one another, so each decision sees everything that was decided before it. The event loop only decides and
 * encodes; the tree is changed and the disk is waited for elsewhere.
 */
export class GroupCommit {
  readonly #tables: Tables;
  readonly #clock: Clock;
  readonly #committed: GroupCommitOptions['committed'];
  readonly #room: FileRoom;
  #revision: number;
  #waiting: Waiting[] = [];
  #working: Promise<void> | undefined;
  #broken: StorageError | undefined;

  constructor(deps: { tables: Tables; clock: Clock }, options: GroupCommitOptions) {
    this.#tables = deps.tables;
    this.#room = new FileRoom(deps);
    this.#clock = deps.clock;
    this.#revision = options.revision;
    this.#committed = options.committed;
  }

  /** Why no write can succeed any more. */
  get broken(): StorageError | undefined {
    return this.#broken;
  }

  /** What `job` answered, once its batch is durable. Rejects with what it threw, or with why nothing was written. */
  run<T>(job: Job<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let done = (): void => {};
      this.#waiting.push({
        decide: (batch) => {
          try {
            const answer = job(batch);
            done = () => resolve(answer);
          } catch (err) {
            done = () => reject(err);
          }
        },
        succeed: () => done(),
        fail: reject,
      });
      this.#working ??= this.#work();
    });
  }

  /** Resolves when everything that was asked for is written. Nothing may be asked any more. */
  async close(): Promise<void> {
    await this.#working;
    await this.#room.close();
  }

  async #work(): Promise<void> {
    // Everything that is written within one turn of the event loop goes together.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, MOST_JOBS));
    this.#working = undefined;
  }

  async #commit(jobs: readonly Waiting[]): Promise<void> {
    const batch = new Batch(this.#tables, this.#revision);
    try {
      if (this.#broken) throw this.#broken;
      for (const job of jobs) job.decide(batch);
      if (!batch.isEmpty) {
        await this.#room.ensure();
        await this.#flush(batch);
      }
    } catch (err) {
      for (const job of jobs) job.fail(err);
      return;
    }
    this.#revision = batch.revision;
    if (batch.events.length > 0) this.#committed(batch.events);
    for (const job of jobs) job.succeed();
  }

  async #flush(batch: Batch): Promise<void> {
    const stuck = Promise.withResolvers<never>();
    const stopTimer = this.#clock.after(STUCK_MS, () => {
      const seconds = STUCK_MS / 1000;
      this.#broken = new StorageError(
        'unavailable',
        `The disk of the store has not answered for ${seconds} s: restart this server once it does`,
      );
      stuck.reject(this.#broken);
    });
    try {
      await Promise.race([batch.commit(), stuck.promise]);
    } catch (err) {
      throw await writeError(err, this.#tables.directory);
    } finally {
      stopTimer();
    }
  }
}

/** lmdb's refusal as the storage's. lmdb tells why by a promise of its own, which must not stay unhandled. */
async function writeError(err: unknown, directory: string): Promise<StorageError> {
  if (err instanceof StorageError) return err;
  const reason = (err as { commitError?: Promise<unknown> }).commitError;
  const cause: unknown = reason !== undefined ? await reason.catch((why: unknown) => why) : err;
  const message = errorMessage(cause);
  return isFull(message, directory)
    ? new StorageError('no-space', `The disk of the store is full: ${message}`, { cause })
    : new StorageError('unavailable', `The store could not write: ${message}`, { cause });
}

/** What fits only in part is an I/O error to lmdb: then the disk is asked. */
function isFull(message: string, directory: string): boolean {
  if (/ENOSPC|No space|MDB_MAP_FULL|quota/i.test(message)) return true;
  if (!/Input\/output error/.test(message)) return false;
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < NEARLY_FULL_BYTES;
}
