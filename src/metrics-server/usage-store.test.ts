import { describe, expect, it } from 'vitest';
import { parseReadings } from './readings.ts';
import { UsageStore, usageOf } from './usage-store.ts';

const text = (at: number, cpu: number, extra = ''): string => `# HELP x y
container_cpu_usage_seconds_total{container="web",namespace="ns",pod="a"} ${cpu} ${at}
container_memory_working_set_bytes{container="web",namespace="ns",pod="a"} 4096 ${at}
container_start_time_seconds{container="web",namespace="ns",pod="a"} 1
${extra}node_cpu_usage_seconds_total ${cpu * 2} ${at}
node_memory_working_set_bytes 8192 ${at}
resource_scrape_error 0
`;

describe('parseReadings', () => {
  it('reads the node and every container', () => {
    const { node, pods } = parseReadings(text(20_000, 5), 0);
    expect(node).toEqual({ at: 20_000, cpuSeconds: 10, memoryBytes: 8192 });
    expect(pods.get('ns/a')?.get('web')).toEqual({
      at: 20_000,
      cpuSeconds: 5,
      memoryBytes: 4096,
      startedAt: 1000,
    });
  });

  it('leaves out what is told in part', () => {
    const half = 'container_memory_working_set_bytes{container="c",namespace="n",pod="b"} 1 1\n';
    expect([...parseReadings(half, 0).pods]).toEqual([]);
  });
});

describe('usageOf', () => {
  const before = { at: 10_000, cpuSeconds: 1, memoryBytes: 1 };
  it.each([
    ['between two readings', { at: 20_000, cpuSeconds: 6, memoryBytes: 2 }, before, 0.5],
    [
      'from its start, of a container younger than the last look',
      { at: 20_000, cpuSeconds: 4, memoryBytes: 2, startedAt: 18_000 },
      before,
      2,
    ],
    [
      'from nothing, of a node',
      { at: 20_000, cpuSeconds: 4, memoryBytes: 2 },
      undefined,
      undefined,
    ],
    [
      'after a restart of the machine',
      { at: 20_000, cpuSeconds: 0.5, memoryBytes: 2 },
      before,
      undefined,
    ],
    ['of the same reading again', { ...before }, before, undefined],
  ])('%s', (_what, last, earlier, cores) => {
    expect(usageOf(last, earlier)?.cores).toBe(cores);
  });
});

describe('UsageStore', () => {
  it('tells of a pod when all of its containers are known, and forgets what is gone', () => {
    const store = new UsageStore();
    store.add('n', parseReadings(text(10_000, 1), 0));
    store.add('n', parseReadings(text(20_000, 6), 0));
    expect(store.node('n')).toEqual({ at: 20_000, windowMs: 10_000, cores: 1, memoryBytes: 8192 });
    expect(store.pod('ns/a')?.get('web')).toMatchObject({ cores: 0.5, memoryBytes: 4096 });
    const unknown =
      'container_cpu_usage_seconds_total{container="b",namespace="ns",pod="a"} 1 30000\n' +
      'container_memory_working_set_bytes{container="b",namespace="ns",pod="a"} 1 30000\n';
    store.add('n', parseReadings(text(30_000, 7, unknown), 0));
    expect(store.pod('ns/a')).toBeUndefined();
    store.forget('n');
    expect(store.node('n')).toBeUndefined();
    expect(store.pod('ns/a')).toBeUndefined();
  });
});
