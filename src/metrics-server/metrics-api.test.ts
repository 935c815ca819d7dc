import { describe, expect, it } from 'vitest';
import { answerMetrics, wantedOf } from './metrics-api.ts';
import { parseReadings } from './readings.ts';
import { UsageStore } from './usage-store.ts';

const meta = (name: string, namespace?: string) => ({
  metadata: { name, ...(namespace ? { namespace } : {}), labels: { app: name } },
});
const store = new UsageStore();
for (const [at, cpu] of [
  [10_000, 1],
  [20_000, 2],
]) {
  store.add(
    'node-1',
    parseReadings(
      ['a', 'b']
        .map(
          (
            pod,
          ) => `container_cpu_usage_seconds_total{container="c",namespace="ns",pod="${pod}"} ${cpu} ${at}
container_memory_working_set_bytes{container="c",namespace="ns",pod="${pod}"} 2048 ${at}
`,
        )
        .join(''),
      0,
    ),
  );
}
const SUBJECTS = {
  nodes: [meta('node-1')],
  pods: [meta('a', 'ns'), meta('b', 'ns'), meta('new', 'ns')],
};
const ask = (path: string, query = '') => {
  const wanted = wantedOf(`/apis/metrics.k8s.io/v1beta1${path}`);
  if (!wanted) throw new Error(`no request: ${path}`);
  const deps = { subjects: SUBJECTS[wanted.resource], store, now: 21_000 };
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever is answered
  return answerMetrics(wanted, new URLSearchParams(query), deps) as any;
};

describe('answerMetrics', () => {
  it('answers one pod in the units of upstream’s server', () => {
    expect(ask('/namespaces/ns/pods/a')).toEqual({
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: {
        name: 'a',
        namespace: 'ns',
        creationTimestamp: '1970-01-01T00:00:21Z',
        labels: { app: 'a' },
      },
      timestamp: '1970-01-01T00:00:20Z',
      window: '10.000s',
      containers: [{ name: 'c', usage: { cpu: '100000000n', memory: '2Ki' } }],
    });
  });

  it('lists what has figures, by label and by name', () => {
    const names = (answer: { items: { metadata: { name: string } }[] }) =>
      answer.items.map((item) => item.metadata.name);
    expect(names(ask('/pods'))).toEqual(['a', 'b']);
    expect(names(ask('/namespaces/ns/pods', 'labelSelector=app=b'))).toEqual(['b']);
    expect(names(ask('/namespaces/ns/pods', 'fieldSelector=metadata.name=a'))).toEqual(['a']);
    expect(names(ask('/namespaces/other/pods'))).toEqual([]);
    expect(() => ask('/pods', 'labelSelector=a in b')).toThrow(
      "unable to parse requirement: found 'b' expected: '('",
    );
  });

  it('knows nothing of what has not been measured', () => {
    expect(() => ask('/namespaces/ns/pods/new')).toThrow(
      'podmetrics.metrics.k8s.io "ns/new" not found',
    );
    expect(() => ask('/nodes/node-1')).toThrow('nodemetrics.metrics.k8s.io "node-1" not found');
  });
});

describe('wantedOf', () => {
  it.each([
    ['/nodes', { verb: 'list', resource: 'nodes', namespace: '', name: '' }],
    ['/nodes/n', { verb: 'get', resource: 'nodes', namespace: '', name: 'n' }],
    ['/namespaces/a/pods', { verb: 'list', resource: 'pods', namespace: 'a', name: '' }],
    ['/namespaces/a/nodes', undefined],
    ['/pods/p', undefined],
    ['/secrets', undefined],
  ])('%s', (path, expected) => {
    expect(wantedOf(`/apis/metrics.k8s.io/v1beta1${path}`)).toEqual(expected);
  });
});
