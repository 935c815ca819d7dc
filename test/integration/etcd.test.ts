import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe } from 'vitest';
import { EtcdStorage } from '../../src/storage/etcd.ts';
import { storageContract } from '../../src/storage/storage.contract.ts';
import { realClock } from '../../src/util/clock.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';

describe.each([
  { name: 'etcd', members: 1, tls: false },
  { name: 'etcd of three members with TLS', members: 3, tls: true },
])('$name', ({ name, ...kind }) => {
  let etcd: TestEtcd;
  const open = (): EtcdStorage => new EtcdStorage(etcd.options, { clock: realClock });
  beforeAll(async () => {
    etcd = await startEtcd(kind);
    const storage = open();
    await eventually('etcd has elected a leader', () => storage.list('/'));
    await storage.close();
  });
  afterAll(() => etcd?.stop());

  storageContract(name, async () => {
    const storage = open();
    await empty(storage);
    return {
      storage,
      passTime: (seconds) => sleep(seconds * 1000),
      dispose: () => storage.close(),
    };
  });
});

async function empty(storage: EtcdStorage): Promise<void> {
  const { items } = await storage.list('/');
  await Promise.all(items.map(({ key, revision }) => storage.delete(key, revision)));
}
