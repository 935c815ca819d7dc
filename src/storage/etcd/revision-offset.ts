import type { EtcdConnection } from './connection.ts';
import { translate } from './errors.ts';
import type { RangeResponse } from './messages.ts';

/** How far this store's revisions are ahead of etcd's own. */
export const OFFSET_KEY = '/k8ts/revision-offset';
/** Rewritten to see how far a watch is; below what is watched, and no kind's. */
export const PROGRESS_KEY = '/registry/k8ts/progress';

/**
 * etcd counts its revisions from 1 and cannot be told otherwise. A store that was moved to it would go back in time,
 * and clients would wait for events that have been. So the revision that the move began at is kept in etcd and added
 * to each of its revisions. Absent: nothing is added.
 */
export class RevisionOffset {
  readonly #connection: EtcdConnection;
  #known: Promise<number> | undefined;

  constructor(connection: EtcdConnection) {
    this.#connection = connection;
  }

  /** Asks etcd once. */
  get(): Promise<number> {
    if (this.#known !== undefined) return this.#known;
    const asked = this.#ask();
    this.#known = asked;
    asked.catch(() => {
      if (this.#known === asked) this.#known = undefined;
    });
    return asked;
  }

  async set(offset: number): Promise<void> {
    const value = Buffer.from(String(offset));
    try {
      await this.#connection.call('KV.Txn', {
        success: [{ requestPut: { key: Buffer.from(OFFSET_KEY), value } }],
      });
    } catch (err) {
      throw translate(err);
    }
    this.#known = Promise.resolve(offset);
  }

  async #ask(): Promise<number> {
    try {
      const { kvs } = await this.#connection.callAgain<RangeResponse>('KV.Range', {
        key: Buffer.from(OFFSET_KEY),
      });
      return Number(kvs[0]?.value.toString() ?? 0);
    } catch (err) {
      throw translate(err);
    }
  }
}
