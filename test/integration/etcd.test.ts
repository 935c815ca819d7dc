import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
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

const open = (): EtcdStorage => new EtcdStorage(etcd.options, { clock: realClock });

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
