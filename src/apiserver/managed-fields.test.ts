import { describe, expect, it } from 'vitest';
import { builtinSchema } from '../api/builtin-schema.ts';
import type { KubeObject } from '../api/types.ts';
import { managerFromUserAgent, trackUpdate } from './managed-fields.ts';
import { builtinKinds } from './resources/registry.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function write(kind: string, manager = 'tester', subresource = '', now = NOW) {
  const found = builtinKinds().find((k) => k.kind === kind);
  if (!found) throw new Error(`no kind ${kind}`);
  return { kind: found, schema: builtinSchema(), manager, subresource, now };
}

function configMap(data: Record<string, string>, metadata: object = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ...metadata }, data };
}

function tracked(live: KubeObject | undefined, object: KubeObject, manager: string, now = NOW) {
  const next = structuredClone(object);
  trackUpdate(live, next, write(object.kind, manager, '', now));
  return next;
}

const entries = (object: KubeObject) => object.metadata.managedFields ?? [];

describe('trackUpdate', () => {
  it('gives a creator what it set, as upstream writes it', () => {
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default', labels: { app: 'web' } },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            containers: [
              {
                name: 'web',
                image: 'web:1',
                ports: [{ containerPort: 80, protocol: 'TCP' }],
                resources: {},
              },
            ],
            volumes: [{ name: 'v', emptyDir: {} }],
          },
        },
      },
      status: { replicas: 7 },
    };
    trackUpdate(undefined, deployment as KubeObject, write('Deployment', 'kubectl-create'));
    expect((deployment as KubeObject).metadata.managedFields).toEqual([
      {
        manager: 'kubectl-create',
        operation: 'Update',
        apiVersion: 'apps/v1',
        time: '2026-01-02T03:04:05Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
          'f:spec': {
            'f:replicas': {},
            'f:selector': {},
            'f:strategy': { 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {} }, 'f:type': {} },
            'f:template': {
              'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
              'f:spec': {
                'f:containers': {
                  'k:{"name":"web"}': {
                    '.': {},
                    'f:image': {},
                    'f:name': {},
                    'f:ports': {
                      '.': {},
                      'k:{"containerPort":80,"protocol":"TCP"}': {
                        '.': {},
                        'f:containerPort': {},
                        'f:protocol': {},
                      },
                    },
                    'f:resources': {},
                  },
                },
                'f:volumes': {
                  '.': {},
                  'k:{"name":"v"}': { '.': {}, 'f:emptyDir': {}, 'f:name': {} },
                },
              },
            },
          },
        },
      },
    ]);
  });

  it('moves a changed field to the one who changed it', () => {
    const first = tracked(undefined, configMap({ a: '1', b: '1' }), 'one');
    const second = tracked(first, configMap({ a: '1', b: '2' }), 'two');
    expect(entries(second).map((e) => [e.manager, e.fieldsV1])).toEqual([
      ['one', { 'f:data': { '.': {}, 'f:a': {} } }],
      ['two', { 'f:data': { 'f:b': {} } }],
    ]);
  });

  it('forgets removed fields, and managers that hold nothing more', () => {
    const first = tracked(undefined, configMap({ a: '1' }), 'one');
    const second = tracked(first, configMap({ a: '1', b: '2' }), 'two');
    const third = tracked(second, configMap({ a: '1' }), 'three');
    expect(entries(third).map((e) => e.manager)).toEqual(['one']);
  });

  it('changes nothing, not even the time, when nothing was changed', () => {
    const first = tracked(undefined, configMap({ a: '1' }), 'one');
    const again = tracked(first, configMap({ a: '1' }), 'one', NOW + 60_000);
    expect(entries(again)).toEqual(entries(first));
  });

  it('keeps entries of sub-resources apart and leaves the other half alone', () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { nodeName: 'n' } };
    const live = structuredClone(pod) as KubeObject;
    trackUpdate(undefined, live, write('Pod', 'm'));
    const next = { ...structuredClone(pod), status: { phase: 'Running' } } as KubeObject;
    trackUpdate(live, next, write('Pod', 'm', 'status'));
    expect(entries(next).map((e) => [e.subresource, e.fieldsV1])).toEqual([
      [undefined, { 'f:spec': { 'f:nodeName': {} } }],
      ['status', { 'f:status': { 'f:phase': {} } }],
    ]);
  });

  it('takes entries that the writer sends, wipes them for [{}], and ignores malformed ones', () => {
    const live = tracked(undefined, configMap({ a: '1' }), 'one');
    const sent = entries(live).map((e) => ({ ...e, manager: 'renamed' }));
    const renamed = tracked(live, configMap({ a: '1' }, { managedFields: sent }), 'two');
    expect(entries(renamed).map((e) => e.manager)).toEqual(['renamed']);
    const wiped = tracked(live, configMap({ a: '1' }, { managedFields: [{}] }), 'two');
    expect(entries(wiped)).toEqual([]);
    const broken = [{ manager: 'x', operation: 'Paint', fieldsType: 'FieldsV1' }];
    const kept = tracked(live, configMap({ a: '1' }, { managedFields: broken }), 'two');
    expect(entries(kept).map((e) => e.manager)).toEqual(['one']);
  });

  it('folds the oldest updaters together beyond ten', () => {
    let object = tracked(undefined, configMap({ k0: '' }), 'm0');
    for (let i = 1; i < 15; i++) {
      const data = { ...(object.data as Record<string, string>), [`k${i}`]: '' };
      object = tracked(object, configMap(data), `m${i}`, NOW + i * 1000);
    }
    const names = entries(object).map((e) => e.manager);
    expect(names).toHaveLength(10);
    expect(names).toContain('ancient-changes');
    expect(names).toContain('m14');
    expect(names).not.toContain('m0');
    const data = Object.assign({}, ...entries(object).map((e) => Object(e.fieldsV1)['f:data']));
    expect(Object.keys(data).filter((key) => key !== '.')).toHaveLength(15);
  });

  it('keeps keys that look like prototypes as data', () => {
    const data = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
    const object = configMap(data);
    trackUpdate(undefined, object, write('ConfigMap'));
    expect(JSON.stringify(entries(object)[0]?.fieldsV1)).toBe(
      '{"f:data":{".":{},"f:__proto__":{},"f:constructor":{}}}',
    );
  });
});

describe('managerFromUserAgent', () => {
  it.each([
    ['kubectl/v1.35.2 (linux/amd64)', 'kubectl'],
    ['', 'unknown'],
    [undefined, 'unknown'],
    ['x'.repeat(200), 'x'.repeat(128)],
  ])('%s is %s', (agent, manager) => {
    expect(managerFromUserAgent(agent)).toBe(manager);
  });
});
