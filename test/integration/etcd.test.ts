import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EtcdStorage } from '../../src/storage/etcd.ts';
import { storageContract } from '../../src/storage/storage.contract.ts';
import { realClock } from '../../src/util/clock.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';

let etcd: TestEtcd;
beforeAll(async () => {
  etcd = await startEtcd();
  // It answers once it has elected itself.
  const storage = open();
  await retry(() => storage.list('/'));
  await storage.close();
});
afterAll(() => etcd?.stop());

const open = (): EtcdStorage =>
  new EtcdStorage({ endpoints: etcd.endpoints }, { clock: realClock });

async function empty(storage: EtcdStorage): Promise<void> {
  const { items } = await storage.list('/');
  await Promise.all(items.map(({ key, revision }) => storage.delete(key, revision)));
}

storageContract('etcd', async () => {
  const storage = open();
  await empty(storage);
  return {
    storage,
    passTime: (seconds) => sleep(seconds * 1000),
    dispose: () => storage.close(),
  };
});

describe('EtcdStorage', () => {
  it('goes on with the other members when one of three is killed', {
    timeout: 180_000,
  }, async () => {
    const cluster = await startEtcd(3);
    const storage = new EtcdStorage({ endpoints: cluster.endpoints }, { clock: realClock });
    const stop = new AbortController();
    try {
      const first = await retry(() => storage.create('/r/a', Buffer.from('1')));
      const seen: number[] = [];
      const watching = storage.watch(
        '/r/',
        { after: first },
        { events: (batch) => void seen.push(...batch.map((e) => e.revision)) },
        stop.signal,
      );
      await cluster.kill(0);
      const written: number[] = [];
      for (let i = 0; i < 5; i++) {
        written.push(await retry(() => storage.create(`/r/n${i}`, Buffer.from('x'))));
      }
      await expect.poll(() => seen, { timeout: 60_000 }).toEqual(written);
      stop.abort();
      await watching;
    } finally {
      stop.abort();
      await storage.close();
      await cluster.stop();
    }
  });
});

/** An election takes a moment; until then etcd refuses. */
async function retry<T>(action: () => Promise<T>): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await action();
    } catch (err) {
      if (i >= 50) throw err;
      await sleep(200);
    }
  }
}
