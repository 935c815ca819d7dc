import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import type { StorageEvent } from '../storage.ts';
import { GroupCommit } from './group-commit.ts';
import type { Tables } from './tables.ts';

/** Tables whose commits are answered by `commit`. What they hold is nothing. */
function tables(commit: () => Promise<unknown>): Tables {
  const table = { get: () => undefined, put: () => {}, remove: () => {} };
  const root = {
    batch: (write: () => void) => {
      write();
      return commit();
    },
  };
  const found = { directory: '/nowhere', size: 0, head: () => undefined, root };
  return { ...found, log: table, heads: table, expiries: table, facts: table } as unknown as Tables;
}

const append = (key: string) => (batch: { append(k: string, v: Buffer, e: number): number }) =>
  batch.append(key, Buffer.from('x'), 0);

describe('GroupCommit', () => {
  it('commits what is asked for in one turn together, in its order', async () => {
    let commits = 0;
    const published: StorageEvent[] = [];
    const group = new GroupCommit(
      { tables: tables(async () => ++commits), clock: new FakeClock() },
      { revision: 7, committed: (events) => void published.push(...events) },
    );
    const revisions = await Promise.all(['a', 'b', 'c'].map((key) => group.run(append(key))));
    expect([revisions, commits]).toEqual([[8, 9, 10], 1]);
    expect(published.map((e) => e.key)).toEqual(['a', 'b', 'c']);
  });

  it('fails everybody in a batch that failed, publishes nothing, and uses its revisions again', async () => {
    let fails = true;
    const published: StorageEvent[] = [];
    const commit = async () => {
      if (fails) throw new Error('No space left on device');
    };
    const group = new GroupCommit(
      { tables: tables(commit), clock: new FakeClock() },
      { revision: 0, committed: (events) => void published.push(...events) },
    );
    const results = await Promise.allSettled(['a', 'b'].map((key) => group.run(append(key))));
    expect(results.map((r) => r.status === 'rejected' && r.reason.kind)).toEqual([
      'no-space',
      'no-space',
    ]);
    fails = false;
    expect(await group.run(append('c'))).toBe(1);
    expect(published.map((e) => [e.key, e.revision])).toEqual([['c', 1]]);
  });

  it('takes a disk that does not answer for broken, and says so to all who write later', async () => {
    const clock = new FakeClock();
    const group = new GroupCommit(
      { tables: tables(() => new Promise(() => {})), clock },
      { revision: 0, committed: () => {} },
    );
    const stuck = group.run(append('a'));
    stuck.catch(() => {});
    await expect.poll(() => clock.pending).toBe(1);
    await clock.advance(60_000);
    await expect(stuck).rejects.toThrow('has not answered for 60 s');
    expect(group.broken?.kind).toBe('unavailable');
    await expect(group.run(append('b'))).rejects.toThrow('has not answered for 60 s');
  });
});
