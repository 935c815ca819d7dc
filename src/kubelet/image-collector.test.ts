import { statfsSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeEvents } from '../client/events.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { ImageCollector, type ImageCollectorOptions } from './image-collector.ts';
import type { PullRecords } from './pull-records.ts';
import type { Container, ContainerRuntime, Image } from './runtime/runtime.ts';

const signal = new AbortController().signal;
const { blocks, bsize } = statfsSync('/');
/** As large as the disk: one of them is enough to win everything back. */
const DISK = blocks * bsize;

let clock = new FakeClock();
let events = new FakeEvents();
let images: Image[] = [];
let used: string[] = [];
const forgotten: string[] = [];

beforeEach(() => {
  clock = new FakeClock();
  events = new FakeEvents();
  images = [];
  used = [];
  forgotten.length = 0;
});

const image = (name: string, change: Partial<Image> = {}): Image => ({
  id: `sha256:${name}`,
  repoTags: [`${name}:1`],
  repoDigests: [],
  size: DISK,
  uid: null,
  username: '',
  pinned: false,
  ...change,
});

function collector(change: Partial<ImageCollectorOptions> = {}, mountpoint = '/'): ImageCollector {
  const runtime: Partial<ContainerRuntime> = {
    listImages: async () => images,
    listContainers: async () => used.map((imageRef) => ({ imageRef }) as unknown as Container),
    imageFsInfo: async () => [
      { timestamp: 0, fsId: { mountpoint }, usedBytes: null, inodesUsed: null },
    ],
    removeImage: async ({ image: id }) => {
      images = images.filter((one) => one.id !== id);
    },
  };
  const records = { removed: async (id: string) => void forgotten.push(id) };
  return new ImageCollector(
    {
      runtime: runtime as ContainerRuntime,
      recorder: events,
      clock,
      log: silent,
      records: records as unknown as PullRecords,
    },
    // The disk of any machine is fuller than that.
    {
      nodeName: 'node-1',
      high: 0,
      low: 0,
      minimumAgeMs: 120_000,
      maximumAgeMs: 0,
      ...change,
    },
  );
}
const names = () => images.map(({ repoTags }) => repoTags[0]);

describe('ImageCollector', () => {
  it('removes what was used longest ago, and no more than is needed', async () => {
    images = [image('old'), image('recent'), image('running')];
    used = ['sha256:recent', 'sha256:running'];
    const collect = collector();
    await collect.collect(signal);
    await clock.advance(200_000);
    await collect.collect(signal);
    used = ['sha256:running'];
    expect(names()).toEqual(['recent:1', 'running:1']);
    await collect.collect(signal);
    expect(names()).toEqual(['running:1']);
    expect(forgotten).toEqual(['sha256:old', 'sha256:recent']);
  });

  it('leaves new images, pinned ones and those of the installation', async () => {
    images = [
      image('new'),
      image('pinned', { pinned: true }),
      image('own', { repoTags: ['localhost/k8ts/pause:1'] }),
    ];
    await collector().collect(signal);
    expect(names()).toHaveLength(3);
    expect(events.lines[0]).toMatch(
      /^Warning FreeDiskSpaceFailed node-1: Failed to garbage collect required amount of images\. Attempted to free \d+ bytes, but only found 0 bytes eligible to free\.$/,
    );
  });

  it('says so where the disk of images tells no size', async () => {
    await expect(collector({}, '/proc').collect(signal)).rejects.toThrow('invalid capacity 0');
    expect(events.lines).toEqual([
      'Warning InvalidDiskCapacity node-1: invalid capacity 0 on image filesystem',
    ]);
  });

  it('does nothing while the disk is not full', async () => {
    images = [image('old')];
    const collect = collector({ high: 101, low: 101 });
    await collect.collect(signal);
    await clock.advance(200_000);
    await collect.collect(signal);
    expect(names()).toEqual(['old:1']);
  });

  it('removes what nobody has used for too long, however much room there is', async () => {
    images = [image('forgotten'), image('running')];
    used = ['sha256:running'];
    const collect = collector({ high: 101, low: 101, maximumAgeMs: 600_000 });
    await collect.collect(signal);
    await clock.advance(600_001);
    await collect.collect(signal);
    expect(names()).toEqual(['running:1']);
  });

  it('removes everything unused, new or not, when the node is short of disk', async () => {
    images = [image('new'), image('running')];
    used = ['sha256:running'];
    expect(await collector().removeUnused(signal)).toBe(DISK);
    expect(names()).toEqual(['running:1']);
  });
});
