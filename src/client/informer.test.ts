import { afterEach, describe, expect, it, vi } from 'vitest';
import { CONFIG_MAPS } from '../api/resource-types.ts';
import type { ConfigMap } from '../api/types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { realClock } from '../util/clock.ts';
import { FakeClient } from './client.fake.ts';
import { createInformer } from './informer.ts';

const map = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels: { first: name.slice(0, 1) } },
  data,
});

const stop = new AbortController();
afterEach(() => vi.restoreAllMocks());

function watched(client: FakeClient) {
  const informer = createInformer<ConfigMap>(client, CONFIG_MAPS);
  informer.addIndex('first', (object) => [object.metadata.labels?.first ?? '']);
  const told: string[] = [];
  informer.addHandler({
    onAdd: (object, initial) =>
      told.push(`add ${object.metadata.name}${initial ? ' initial' : ''}`),
    onUpdate: (before, after) => told.push(`update ${before.data?.v} ${after.data?.v}`),
    onDelete: (object) => told.push(`delete ${object.metadata.name}`),
  });
  return { informer, told };
}

describe('Informer', () => {
  it('lists, then follows, and keeps its indexes true', async () => {
    const client = new FakeClient();
    client.seed(CONFIG_MAPS, map('a1'));
    const { informer, told } = watched(client);
    const running = informer.run(stop.signal);
    await informer.whenSynced(stop.signal);
    const a2 = await client.create(CONFIG_MAPS, map('a2', { v: '1' }));
    await client.update(CONFIG_MAPS, { ...a2, data: { v: '2' } });
    await client.delete(CONFIG_MAPS, { namespace: 'default', name: 'a1' });
    await vi.waitFor(() => expect(told).toHaveLength(4), 30_000);
    expect(told).toEqual(['add a1 initial', 'add a2', 'update 1 2', 'delete a1']);
    expect(informer.byIndex('first', 'a').map((o) => o.metadata.name)).toEqual(['a2']);
    expect(informer.get({ namespace: 'default', name: 'a2' })?.data).toEqual({ v: '2' });
    expect(informer.list('other')).toEqual([]);
    stop.abort();
    await running;
  });

  it('lists in pages and keeps what a transformation leaves', async () => {
    const client = new FakeClient();
    const pages = [['a1', 'a2'], ['a3']].map((names, index) => ({
      apiVersion: 'v1',
      kind: 'ConfigMapList',
      metadata: { resourceVersion: '5', ...(index === 0 ? { continue: 'next' } : {}) },
      items: names.map((name) => map(name, { v: '1' })) as unknown as ConfigMap[],
    }));
    const list = vi.spyOn(client, 'list').mockImplementation(async (_type, options = {}) => {
      return structuredClone(pages[options.continue === 'next' ? 1 : 0]) as never;
    });
    const end = new AbortController();
    const transform = ({ data: _, ...rest }: ConfigMap) => rest;
    const informer = createInformer<ConfigMap>(client, CONFIG_MAPS, {}, { pageSize: 2, transform });
    const running = informer.run(end.signal);
    await informer.whenSynced(end.signal);
    expect(list.mock.calls.map(([, options]) => [options?.limit, options?.continue])).toEqual([
      [2, undefined],
      [2, 'next'],
    ]);
    expect(informer.list().map(({ metadata, data }) => [metadata.name, data])).toEqual([
      ['a1', undefined],
      ['a2', undefined],
      ['a3', undefined],
    ]);
    end.abort();
    await running;
  });

  it('lists anew where the server goes away between two pages', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    let isAway = true;
    vi.spyOn(client, 'list').mockImplementation(async (_type, options = {}) => {
      if (options.continue && isAway) throw new Error('connection reset');
      const page = { resourceVersion: '5', ...(options.continue ? {} : { continue: 'next' }) };
      return { metadata: page, items: [map(options.continue ? 'a2' : 'a1')] } as never;
    });
    const end = new AbortController();
    const informer = createInformer<ConfigMap>(client, CONFIG_MAPS, {}, { pageSize: 1, clock });
    const running = informer.run(end.signal);
    await clock.advance(0);
    expect(informer.synced).toBe(false);
    isAway = false;
    await clock.advance(1000);
    expect(informer.synced).toBe(true);
    expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(['a1', 'a2']);
    end.abort();
    await clock.advance(0);
    await running;
  });

  it.each([
    ['where nobody listens', Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 2000],
    ['where a server is in trouble', new Error('internal error'), 30_000],
  ])('waits longer and longer %s, up to a limit', async (_, failure, limit) => {
    const client = new FakeClient();
    vi.spyOn(client, 'list').mockRejectedValue(new Error('request failed', { cause: failure }));
    const waits: number[] = [];
    const end = new AbortController();
    const clock = {
      ...realClock,
      sleep: async (ms: number) => {
        waits.push(ms);
        if (waits.length === 12) end.abort();
      },
    };
    await createInformer(client, CONFIG_MAPS, {}, { clock }).run(end.signal);
    expect(waits[0]).toBeLessThanOrEqual(800);
    expect(Math.max(...waits)).toBeLessThanOrEqual(limit);
    expect(Math.max(...waits.slice(6))).toBeGreaterThanOrEqual(limit / 2);
  });

  it('asks a server that is away with one watcher of many, and is back with all soon after it', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    const failure = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
    const list = vi
      .spyOn(client, 'list')
      .mockRejectedValue(new Error('request failed', { cause: failure }));
    const end = new AbortController();
    const informers = Array.from({ length: 50 }, () =>
      createInformer(client, CONFIG_MAPS, {}, { clock }),
    );
    const running = informers.map((informer) => informer.run(end.signal));
    await clock.advance(120_000);
    const before = list.mock.calls.length;
    await clock.advance(600_000);
    // One of them every 1 to 2 s, each of the others every 1 to 2 minutes.
    expect(list.mock.calls.length - before).toBeLessThan(600 + 50 * 10);
    list.mockRestore();
    await clock.advance(2_500);
    expect(informers.every((informer) => informer.synced)).toBe(true);
    end.abort();
    await clock.advance(0);
    await Promise.all(running);
  });

  it('lists at once where a server has come back without its history', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    client.seed(CONFIG_MAPS, map('old'));
    const informer = createInformer<ConfigMap>(client, CONFIG_MAPS, {}, { clock });
    const end = new AbortController();
    const failure = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
    const away = vi.spyOn(client, 'watch').mockImplementation(() => {
      throw new Error('request failed', { cause: failure });
    });
    const running = informer.run(end.signal);
    await clock.advance(0); // the first failure
    await clock.advance(600_000);
    away.mockRestore();
    client.seed(CONFIG_MAPS, map('new'));
    client.compact();
    await clock.advance(2_500);
    expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(['old', 'new']);
    end.abort();
    await clock.advance(0);
    await running;
  });

  it('lists again when history is gone, and tells what was missed', async () => {
    const client = new FakeClient();
    client.seed(CONFIG_MAPS, map('gone'), map('kept', { v: '1' }), map('replaced'));
    const { informer, told } = watched(client);
    const end = new AbortController();
    const list = vi.spyOn(client, 'list');
    const broken = Promise.withResolvers<never>();
    vi.spyOn(client, 'watch').mockImplementationOnce(() => ({
      [Symbol.asyncIterator]: () => ({ next: () => broken.promise }),
    }));
    const running = informer.run(end.signal);
    await informer.whenSynced(end.signal);
    await client.delete(CONFIG_MAPS, { namespace: 'default', name: 'gone' });
    const kept = await client.get(CONFIG_MAPS, { namespace: 'default', name: 'kept' });
    await client.update(CONFIG_MAPS, { ...kept, data: { v: '2' } });
    await client.delete(CONFIG_MAPS, { namespace: 'default', name: 'replaced' });
    await client.create(CONFIG_MAPS, map('replaced', { v: 'new' }));
    client.compact();
    broken.reject(new Error('connection reset'));
    await vi.waitFor(() => expect(told).toHaveLength(7), 30_000);
    expect(told.slice(3).toSorted()).toEqual([
      'add replaced',
      'delete gone',
      'delete replaced',
      'update 1 2',
    ]);
    expect(told.indexOf('delete replaced')).toBeLessThan(told.lastIndexOf('add replaced'));
    expect(list).toHaveBeenCalledTimes(2);
    end.abort();
    await running;
  });
});
