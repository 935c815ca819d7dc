import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EtcdStorage } from '../../src/storage/etcd.ts';
import { LmdbStorage } from '../../src/storage/lmdb.ts';
import { isStorageError, type Storage } from '../../src/storage/storage.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { type ApiProcess, startApiProcess } from '../support/api-process.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';

// Three members that ask for client certificates, as an operator would run them.

const bytes = (text: string): Buffer => Buffer.from(text);

let cluster: TestEtcd;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-etcd-cluster-'));
  cluster = await startEtcd({ members: 3, tls: true });
  await eventually('etcd has elected a leader', () => withStorage((s) => s.status()));
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const open = (): EtcdStorage => new EtcdStorage(cluster.options, { clock: realClock });

async function withStorage<T>(use: (storage: EtcdStorage) => Promise<T>): Promise<T> {
  const storage = open();
  try {
    return await use(storage);
  } finally {
    await storage.close();
  }
}

/** An election takes a moment; until then etcd refuses. */
function patiently<T>(action: () => Promise<T>): Promise<T> {
  return eventually('etcd takes the call', action);
}

function etcdctl(...args: string[]): string {
  const { authority, certificate, key } = cluster.files;
  const tls = ['--cacert', authority, '--cert', certificate, '--key', key];
  const endpoints = ['--endpoints', cluster.endpoints.join(',')];
  // One of the members may have just come back.
  const limits = ['--dial-timeout', '30s', '--command-timeout', '60s'];
  const words = [...endpoints, ...limits, ...tls, ...args];
  const { stdout, stderr, status } = spawnSync('etcdctl', words, {
    env: { ...process.env, ETCDCTL_API: '3' },
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

function k8ts(...args: string[]): { code: number | null; out: string; err: string } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['src/cli/cli.ts', ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

const etcdFlags = (): string[] => [
  ...['--etcd-servers', cluster.endpoints.join(','), '--etcd-cafile', cluster.files.authority],
  ...['--etcd-certfile', cluster.files.certificate, '--etcd-keyfile', cluster.files.key],
];

describe('EtcdStorage on three members with TLS', () => {
  it('is refused without a client certificate, and refuses members of another authority', async () => {
    const { authority } = cluster.options;
    const endpoints = cluster.endpoints.slice(0, 1);
    for (const options of [{ endpoints, authority }, { endpoints }]) {
      const storage = new EtcdStorage(options, { clock: realClock });
      await expect(storage.get('/registry/a')).rejects.toSatisfy((err) =>
        isStorageError(err, 'unavailable'),
      );
      await storage.close();
    }
  });

  it.each([
    ['killed', [0, 1, 2]],
    ['frozen', [0]],
  ] as const)(
    'goes on with the others while members are %s',
    { timeout: 180_000 },
    async (fate, members) => {
      const storage = open();
      const stop = new AbortController();
      const prefix = `/registry/${fate}/`;
      const seen: number[] = [];
      const { revision } = await patiently(() => storage.status());
      const sink = {
        events: (batch: readonly { revision: number }[]) =>
          void seen.push(...batch.map((e) => e.revision)),
      };
      const watching = storage.watch(prefix, { after: revision }, sink, stop.signal);
      try {
        for (const member of members) {
          if (fate === 'killed') await cluster.kill(member);
          else cluster.freeze(member, true);
          for (let i = 0; i < 3; i++) {
            const key = `${prefix}${member}-${i}`;
            // A write whose answer was lost may have been done.
            await patiently(async () => {
              if (!(await storage.get(key))) await storage.create(key, bytes('x'));
              return true;
            });
          }
          if (fate === 'killed') cluster.restart(member);
          else cluster.freeze(member, false);
        }
        const { items } = await patiently(() => storage.list(prefix));
        expect(items).toHaveLength(3 * members.length);
        await expect
          .poll(() => seen, { timeout: 120_000 })
          .toEqual(items.map((kv) => kv.revision).sort((a, b) => a - b));
      } finally {
        stop.abort();
        await watching;
        await storage.close();
      }
    },
  );
});

describe('k8ts apiserver --etcd-servers', () => {
  let server: ApiProcess;
  beforeAll(async () => {
    server = await startApiProcess({ storage: etcdFlags });
  });
  afterAll(() => server?.stop());

  it('stores objects where upstream does, readable as JSON', async () => {
    const pod = {
      metadata: { name: 'web' },
      spec: { containers: [{ name: 'web', image: 'web:1' }] },
    };
    await eventually('the service account is there', async () => {
      const sa = { metadata: { name: 'default' } };
      const { status } = await server.send(
        'POST',
        '/api/v1/namespaces/default/serviceaccounts',
        sa,
      );
      expect([201, 409]).toContain(status);
      return true;
    });
    const made = await server.send('POST', '/api/v1/namespaces/default/pods', pod);
    expect(made.status, made.text).toBe(201);
    const printed = etcdctl('get', '/registry/pods/default/web', '--print-value-only');
    expect(JSON.parse(printed)).toMatchObject({
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'default' },
    });
  });

  it('sees at once what another API server on the same etcd wrote', async () => {
    const other = await startApiProcess({ storage: etcdFlags });
    try {
      for (let i = 0; i < 20; i++) {
        const path = '/api/v1/namespaces/default/configmaps';
        const name = `shared-${i}`;
        expect((await other.send('POST', path, { metadata: { name } })).status).toBe(201);
        expect((await server.send('GET', `${path}/${name}`)).status).toBe(200);
        const { text } = await server.send('GET', path);
        expect(text).toContain(`"${name}"`);
      }
      // A revision that no watch of ours tells of must not be waited for in vain.
      etcdctl('put', '/foreign', 'x');
      expect((await server.send('GET', '/api/v1/namespaces/default/configmaps')).status).toBe(200);
    } finally {
      await other.stop();
    }
  });

  it('serves on when the member that it talks to is killed', async () => {
    const path = '/api/v1/namespaces/default/configmaps';
    await cluster.kill(0);
    try {
      await eventually('a write goes through', async () => {
        const name = `failover-${Math.random().toString(36).slice(2)}`;
        expect((await server.send('POST', path, { metadata: { name } })).status).toBe(201);
        return true;
      });
      expect((await server.send('GET', '/readyz')).status).toBe(200);
      expect((await server.send('GET', path)).status).toBe(200);
    } finally {
      cluster.restart(0);
    }
  });
});

describe('k8ts store', () => {
  it('moves all state to the other engine and back, with revisions that only grow', async () => {
    const target = await startEtcd({ tls: false });
    const flags = ['--etcd-servers', target.endpoints.join(',')];
    const first = join(directory, 'first');
    const second = join(directory, 'second');
    try {
      const lmdb = await LmdbStorage.open(first, { clock: realClock, log: silent });
      for (let i = 0; i < 30; i++)
        await lmdb.create(`/registry/configmaps/default/c${i}`, bytes(`{"n":${i}}`));
      const changed = await lmdb.get('/registry/configmaps/default/c3');
      await lmdb.update(
        '/registry/configmaps/default/c3',
        bytes('{"n":33}'),
        changed?.revision ?? 0,
      );
      await lmdb.create('/registry/events/default/e', bytes('{}'), { ttlSeconds: 600 });
      const before = await contentOf(lmdb);
      expect(
        k8ts('store', 'migrate', '--from', 'lmdb', '--to', 'etcd', '--data-dir', first, ...flags)
          .err,
      ).toContain('in use by another process');
      await lmdb.close();

      const there = k8ts(
        'store',
        'migrate',
        '--from',
        'lmdb',
        '--to',
        'etcd',
        '--data-dir',
        first,
        ...flags,
      );
      expect(there.code, there.err).toBe(0);
      const etcd = new EtcdStorage(target.options, { clock: realClock });
      const moved = await contentOf(etcd);
      expect(moved.values).toEqual(before.values);
      expect(moved.revision).toBeGreaterThan(before.revision);
      expect(Math.min(...moved.revisions)).toBeGreaterThan(before.revision);
      // Who watched the old store must list anew rather than wait.
      const stop = new AbortController();
      const old = etcd.watch(
        '/registry/',
        { after: before.revision - 1 },
        { events: () => {} },
        stop.signal,
      );
      await expect(old).rejects.toSatisfy((err) => isStorageError(err, 'compacted'));
      await expect(etcd.list('/registry/', { revision: before.revision })).rejects.toSatisfy(
        (err) => isStorageError(err, 'compacted'),
      );
      const seen: number[] = [];
      const watching = etcd.watch(
        '/registry/',
        { after: moved.revision },
        { events: (batch) => void seen.push(...batch.map((e) => e.revision)) },
        stop.signal,
      );
      const kept = await etcd.get('/registry/configmaps/default/c3');
      const updated = await etcd.update(
        '/registry/configmaps/default/c3',
        bytes('{"n":333}'),
        kept?.revision ?? 0,
      );
      await expect.poll(() => seen).toEqual([updated]);
      stop.abort();
      await watching;
      await etcd.compact(updated);
      expect(await etcd.status()).toMatchObject({ revision: updated, compacted: updated });
      const again = k8ts(
        'store',
        'migrate',
        '--from',
        'lmdb',
        '--to',
        'etcd',
        '--data-dir',
        first,
        ...flags,
      );
      expect(again.err).toContain('a store is never overwritten');

      const back = k8ts(
        'store',
        'migrate',
        '--from',
        'etcd',
        '--to',
        'lmdb',
        '--data-dir',
        second,
        ...flags,
      );
      expect(back.code, back.err).toBe(0);
      const after = await LmdbStorage.open(second, { clock: realClock, log: silent });
      const returned = await contentOf(after);
      expect(returned.values).toEqual({
        ...before.values,
        '/registry/configmaps/default/c3': '{"n":333}',
      });
      expect(returned.revision).toBe(updated);
      const dump = await after.dump();
      const expiries: number[] = [];
      for await (const item of dump.items)
        if (item.expires > 0) expiries.push(item.expires - Date.now());
      expect(expiries).toHaveLength(1);
      expect(expiries[0]).toBeGreaterThan(500_000);
      await after.close();
      await etcd.close();

      expect(JSON.parse(k8ts('store', 'defrag', ...flags).out).after).toBeGreaterThan(0);
      expect(JSON.parse(k8ts('store', 'status', ...flags).out)).toMatchObject({
        revision: updated,
      });
      expect(JSON.parse(k8ts('store', 'status', '--data-dir', second).out)).toMatchObject({
        revision: updated,
        keys: 31,
        inUse: false,
      });
    } finally {
      await target.stop();
    }
  });
});

async function contentOf(storage: Storage) {
  const { items, revision } = await storage.list('/registry/');
  return {
    revision,
    revisions: items.map((kv) => kv.revision),
    values: Object.fromEntries(items.map((kv) => [kv.key, kv.value.toString()])),
  };
}
