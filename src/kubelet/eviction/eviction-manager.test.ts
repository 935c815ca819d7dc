import { describe, expect, it } from 'vitest';
import type { Pod } from '../../api/types.ts';
import type { PodStats } from '../stats/summary.ts';
import { evictionNotice } from './messages.ts';
import { rankForEviction } from './ranking.ts';
import { hasStorageLimits, storageExcess } from './storage-limits.ts';

const MI = 2 ** 20;

function pod(name: string, spec: object = {}, priority = 0): Pod {
  const metadata = { name, namespace: 'ns', uid: name };
  return { metadata, spec: { containers: [{ name: 'c', image: 'i' }], priority, ...spec } } as Pod;
}
const requests = (memory: string) => ({
  containers: [{ name: 'c', image: 'i', resources: { requests: { memory } } }],
});
const using = (name: string, bytes: number): PodStats =>
  ({
    podRef: { name, namespace: 'ns', uid: name },
    memory: { time: '', workingSetBytes: bytes },
    containers: [{ name: 'c', startTime: '', memory: { time: '', workingSetBytes: bytes } }],
  }) as unknown as PodStats;

const MEMORY = { resource: 'memory', part: 'all' } as const;

describe('rankForEviction', () => {
  it.each([
    ['all', ['layers', 'volumes']],
    ['layers', ['layers', 'volumes']],
    ['others', ['volumes', 'layers']],
  ] as const)('looks at what is on the disk that is short: %s', (part, order) => {
    const disk = (name: string, usedBytes: number, layer: number) => ({
      pod: pod(name),
      stats: {
        ...using(name, 0),
        'ephemeral-storage': { usedBytes },
        containers: [{ name: 'c', startTime: '', rootfs: { usedBytes: layer } }],
      } as unknown as PodStats,
    });
    const candidates = [disk('volumes', 80 * MI, 10 * MI), disk('layers', 90 * MI, 85 * MI)];
    const ranked = rankForEviction(candidates, { resource: 'ephemeral-storage', part });
    expect(ranked.map((c) => c.pod.metadata.name)).toEqual(order);
  });

  it('takes those above their request first, then the less important, then the greediest', () => {
    const candidates = [
      { pod: pod('within', requests('500Mi')), stats: using('within', 400 * MI) },
      { pod: pod('above', requests('100Mi')), stats: using('above', 150 * MI) },
      { pod: pod('far-above', requests('100Mi')), stats: using('far-above', 300 * MI) },
      { pod: pod('above-important', requests('1Mi'), 1000), stats: using('x', 900 * MI) },
      { pod: pod('critical', {}, 2_000_001_000), stats: using('critical', 2000 * MI) },
    ];
    expect(rankForEviction(candidates, MEMORY).map((c) => c.pod.metadata.name)).toEqual([
      'far-above',
      'above',
      'above-important',
      'within',
    ]);
  });

  it('never takes a static pod', () => {
    const annotations = { 'kubernetes.io/config.source': 'file' };
    const own = {
      ...pod('static'),
      metadata: { name: 's', namespace: 'n', uid: 's', annotations },
    };
    expect(
      rankForEviction([{ pod: own as unknown as Pod, stats: using('s', MI) }], MEMORY),
    ).toEqual([]);
  });
});

describe('evictionNotice', () => {
  it('says what was short and who took it, in upstream’s words', () => {
    const threshold = { signal: 'memory.available', value: '100Mi', graceMs: 0 };
    const notice = evictionNotice(pod('a', requests('64Mi')), using('a', 200 * MI), {
      resource: 'memory',
      threshold,
      left: { available: 60 * MI, total: 1000 * MI },
    });
    expect(notice.message).toBe(
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. ' +
        'Container c was using 200Mi, request is 64Mi, has larger consumption of memory. ',
    );
    expect(notice.annotations).toEqual({
      offending_containers: 'c',
      offending_containers_usage: '200Mi',
      starved_resource: 'memory',
    });
  });

  it.each([
    ['nodefs.available', 'ephemeral-storage', 5000, 'Threshold quantity: 500, available: 4Ki. '],
    ['nodefs.inodesFree', 'inodes', 120_000, 'Threshold quantity: 12k, available: 4096. '],
    ['pid.available', 'pids', 32_768, 'Threshold quantity: 3276, available: 4096. '],
  ] as const)('shows numbers of %s as quantities', (signal, resource, total, numbers) => {
    const threshold = { signal, value: '10%', graceMs: 0 };
    const left = { available: 4096, total };
    const { message } = evictionNotice(pod('a'), undefined, { resource, threshold, left });
    expect(message).toBe(`The node was low on resource: ${resource}. ${numbers}`);
  });
});

describe('storageExcess', () => {
  const disk = (change: object = {}) => ({
    volumes: [],
    localVolumes: 0,
    inodes: 0,
    emptyDirs: new Map<string, number>(),
    logs: new Map<string, number>(),
    logBytes: 0,
    ...change,
  });
  const limited = pod('a', {
    volumes: [{ name: 'data', emptyDir: { sizeLimit: '1Mi' } }],
    containers: [
      { name: 'c', image: 'i', resources: { limits: { 'ephemeral-storage': '4Mi' } } },
      { name: 'd', image: 'i', resources: { limits: { 'ephemeral-storage': '4Mi' } } },
    ],
  });

  it.each([
    ['nothing', disk(), new Map([['c', 3 * MI]]), undefined],
    [
      'an empty directory',
      disk({ emptyDirs: new Map([['data', 2 * MI]]) }),
      new Map(),
      {
        limit: 'emptydirfs.limit',
        message: 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ',
      },
    ],
    [
      'the pod as a whole',
      disk({ localVolumes: MI }),
      new Map([
        ['c', 4 * MI],
        ['d', 4 * MI],
      ]),
      {
        limit: 'ephemeralpodfs.limit',
        message: 'Pod ephemeral local storage usage exceeds the total limit of containers 8Mi. ',
      },
    ],
    [
      'a container with its log',
      disk({ logs: new Map([['c', 2 * MI]]), logBytes: 2 * MI }),
      new Map([['c', 3 * MI]]),
      {
        limit: 'ephemeralcontainerfs.limit',
        message: 'Container c exceeded its local ephemeral storage limit "4Mi". ',
      },
    ],
  ])('finds %s', (_what, given, layers, expected) => {
    expect(storageExcess(limited, given, { layers, isSplit: false })).toEqual(expected);
  });

  it('has the limits of some containers bound the whole pod, init containers by the highest', () => {
    const limit = (name: string, size: string) => ({
      ...{ name, image: 'i', resources: { limits: { 'ephemeral-storage': size } } },
    });
    const containers = [limit('c', '1Mi'), { name: 'free', image: 'i' }];
    const initContainers = [limit('first', '3Mi'), limit('second', '2Mi')];
    const some = pod('some', { containers, initContainers });
    const using3 = (more: number) => ({
      layers: new Map([['free', 3 * MI + more]]),
      isSplit: false,
    });
    expect(storageExcess(some, disk(), using3(0))).toBeUndefined();
    expect(storageExcess(some, disk(), using3(1))?.message).toBe(
      'Pod ephemeral local storage usage exceeds the total limit of containers 3Mi. ',
    );
  });

  it('leaves out of a container’s limit what is on the disk of images', () => {
    const layers = new Map([['c', 5 * MI]]);
    const told = (isSplit: boolean) => storageExcess(limited, disk(), { layers, isSplit })?.limit;
    expect([told(false), told(true)]).toEqual(['ephemeralcontainerfs.limit', undefined]);
  });

  it('is asked only about pods that have limits and may go', () => {
    expect(hasStorageLimits(limited)).toBe(true);
    expect(hasStorageLimits(pod('free'))).toBe(false);
    const critical = { ...limited, spec: { ...limited.spec, priority: 2_000_000_000 } } as Pod;
    expect(hasStorageLimits(critical)).toBe(false);
  });
});
