import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { MemoryStorage } from '../storage/memory.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { KindRegistry } from './kind-registry.ts';
import { builtinKinds } from './resources/registry.ts';
import { State } from './state.ts';
import { WatchCache } from './watch-cache.ts';
import { WatchStream } from './watch-stream.ts';

/** A client that reads only when it is let. */
class SlowClient extends Writable {
  #reads = false;
  #next: (() => void) | undefined;
  text = '';
  readonly chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk);
    const take = (): void => {
      this.text += chunk;
      done();
    };
    if (this.#reads) take();
    else this.#next = take;
  }

  read(): void {
    this.#reads = true;
    this.#next?.();
  }

  get events(): { type: string; object: { code?: number; metadata?: { name: string } } }[] {
    return this.text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }
}

const EVENT_BYTES = 20_000;

async function watching() {
  const clock = new FakeClock();
  const kinds = new KindRegistry(builtinKinds());
  const kind = kinds.get('', 'v1', 'configmaps');
  if (!kind) throw new Error('configmaps are not declared');
  const state = new State({ storage: new MemoryStorage(clock), kinds, clock, log: silent });
  const prefix = '/registry/configmaps/';
  const cache = new WatchCache({ prefix, parsedOf: () => undefined });
  await cache.load([], 0);
  const stop = new AbortController();
  let cutOffs = 0;
  const open = () => {
    const client = new SlowClient();
    const stream = new WatchStream({
      ...{ cache, state, clock, bookmarks: false, apiVersion: 'v1' },
      res: client as unknown as ServerResponse,
      selection: { namespace: '', labels: [], fields: [] },
      shape: { representation: { format: 'json' }, kind, includeObject: 'Metadata', now: 0 },
      cutOff: () => {
        cutOffs++;
      },
    });
    const options = { start: 0, initial: false, markInitialEnd: false, seconds: 3600 };
    return { client, running: stream.run(options, stop.signal) };
  };
  const { client, running } = open();
  let revision = 0;
  const change = (): void => {
    revision++;
    const name = `c${revision}`;
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'd' },
      data: { x: 'x'.repeat(EVENT_BYTES) },
    };
    cache.apply({
      key: `${prefix}d/${name}`,
      revision,
      value: Buffer.from(JSON.stringify(object)),
    });
  };
  return { clock, cache, client, stop, running, open, change, cutOffs: () => cutOffs };
}

describe('WatchStream', () => {
  it('holds little for a client that does not read, and tells it everything when it does', async () => {
    const { cache, client, change, stop, running, cutOffs } = await watching();
    for (let i = 0; i < 200; i++) change();
    expect(client.writableLength).toBeLessThan(256 * 1024 + 2 * EVENT_BYTES);
    client.read();
    await expect.poll(() => client.events.length).toBe(200);
    change();
    await expect.poll(() => client.events.length).toBe(201);
    expect(client.events.map((e) => e.object.metadata?.name)).toEqual(
      Array.from({ length: 201 }, (_, i) => `c${i + 1}`),
    );
    expect([cutOffs(), cache.lagging.size]).toEqual([0, 0]);
    stop.abort();
    await running;
  });

  it('cuts a client off with 410 when what it missed is forgotten, without waiting for it to read', async () => {
    const { cache, client, change, running, cutOffs } = await watching();
    for (let i = 0; i < 2000; i++) change();
    await running;
    expect([cutOffs(), cache.lagging.size, cache.watchers]).toEqual([1, 0, 0]);
    expect(client.writableLength).toBeLessThan(256 * 1024 + 2 * EVENT_BYTES);
    client.read();
    await expect.poll(() => client.events.at(-1)?.type).toBe('ERROR');
    const { events } = client;
    expect(events.at(-1)?.object.code).toBe(410);
    expect(events.slice(0, -1).map((e) => e.object.metadata?.name)).toEqual(
      Array.from({ length: events.length - 1 }, (_, i) => `c${i + 1}`),
    );
  });

  it('copies events that gathered for many only once', async () => {
    const { client, open, change, stop, running } = await watching();
    const other = open();
    for (const { client: some } of [{ client }, other]) some.read();
    for (let i = 0; i < 3; i++) change();
    await expect.poll(() => [client.events.length, other.client.events.length]).toEqual([3, 3]);
    expect([client.chunks.length, other.client.chunks.length]).toEqual([1, 1]);
    expect(other.client.chunks[0]).toBe(client.chunks[0]);
    change();
    await expect.poll(() => other.client.events.length).toBe(4);
    expect(other.client.events.at(-1)?.object.metadata?.name).toBe('c4');
    stop.abort();
    await Promise.all([running, other.running]);
  });

  it('ends the connection of a client that was cut off and still does not read', async () => {
    const { client, change, running, clock } = await watching();
    for (let i = 0; i < 2000; i++) change();
    await running;
    expect(client.destroyed).toBe(false);
    await clock.advance(10_000);
    expect(client.destroyed).toBe(true);
  });
});
