import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { builtinSchema } from '../api/builtin-schema.ts';
import { ApiError } from '../api/errors.ts';
import type { KubeObject } from '../api/types.ts';
import { trackUpdate } from './managed-fields.ts';
import { builtinKinds } from './resources/registry.ts';
import { applyConfiguration, keepUnchangedTimes } from './server-side-apply.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

interface Options {
  force?: boolean;
  subresource?: string;
  now?: number;
}

function context(
  kind: string,
  manager: string,
  { force = false, subresource = '', now = NOW }: Options,
) {
  const found = builtinKinds().find((k) => k.kind === kind);
  if (!found) throw new Error(`no kind ${kind}`);
  return { kind: found, schema: builtinSchema(), manager, subresource, now, force };
}

function apply(
  live: KubeObject | undefined,
  config: KubeObject,
  manager: string,
  options: Options = {},
) {
  return applyConfiguration(live, config, context(config.kind, manager, options));
}

function update(
  live: KubeObject | undefined,
  object: KubeObject,
  manager: string,
  options: Options = {},
) {
  const next = structuredClone(object);
  trackUpdate(live, next, context(object.kind, manager, options));
  return next;
}

function configMap(data: Record<string, string>, metadata: object = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ...metadata }, data };
}

interface Parts {
  replicas?: number;
  containers?: object[];
  [field: string]: unknown;
}

function deployment({ containers = [], ...spec }: Parts): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { ...spec, template: { spec: { containers } } },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into free-form objects
const specOf = (object: KubeObject) => object.spec as any;
const containersOf = (object: KubeObject) => specOf(object)?.template?.spec.containers ?? [];
const namesOf = (object: KubeObject) => containersOf(object).map((c: { name: string }) => c.name);
const managersOf = (object: KubeObject) =>
  (object.metadata.managedFields ?? []).map((e) => e.manager);

function conflictOf(act: () => unknown): ApiError {
  try {
    act();
  } catch (err) {
    if (err instanceof ApiError && err.reason === 'Conflict') return err;
    throw err;
  }
  throw new Error('no conflict');
}

describe('applyConfiguration', () => {
  it('creates with the exact fields of the configuration', () => {
    const result = apply(undefined, configMap({ a: '1' }, { labels: { l: 'x' } }), 'one');
    expect(result).toEqual({
      ...configMap({ a: '1' }),
      metadata: {
        name: 'a',
        labels: { l: 'x' },
        managedFields: [
          {
            manager: 'one',
            operation: 'Apply',
            apiVersion: 'v1',
            time: '2026-01-02T03:04:05Z',
            fieldsType: 'FieldsV1',
            fieldsV1: { 'f:metadata': { 'f:labels': { 'f:l': {} } }, 'f:data': { 'f:a': {} } },
          },
        ],
      },
    });
  });

  it('drops fields that it gives up and nobody else holds', () => {
    const live = apply(undefined, configMap({ a: '1', b: '2' }), 'one');
    expect(apply(live, configMap({ a: '1' }), 'one').data).toEqual({ a: '1' });
  });

  it('keeps fields that it gives up but others hold', () => {
    const first = apply(undefined, configMap({ a: '1', b: '2' }), 'one');
    const shared = apply(first, configMap({ b: '2' }), 'two');
    expect(managersOf(shared)).toEqual(['one', 'two']);
    const left = apply(shared, configMap({ a: '1' }), 'one');
    expect(left.data).toEqual({ a: '1', b: '2' });
    expect(apply(left, configMap({}), 'two').data).toEqual({ a: '1' });
  });

  it('shares ownership of equal values without conflict', () => {
    const first = apply(undefined, configMap({ a: '1' }), 'one');
    const second = apply(first, configMap({ a: '1' }), 'two');
    expect(conflictOf(() => apply(second, configMap({ a: '2' }), 'one')).message).toBe(
      'Apply failed with 1 conflict: conflict with "two": .data.a',
    );
  });

  it('conflicts with an updater, naming version and time', () => {
    const live = update(undefined, deployment({ replicas: 1, containers: [] }), 'kubectl-scale');
    const err = conflictOf(() => apply(live, deployment({ replicas: 2 }), 'one'));
    expect(err.code).toBe(409);
    expect(err.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl-scale" using apps/v1 at 2026-01-02T03:04:05Z: .spec.replicas',
    );
    expect(err.details?.causes).toEqual([
      {
        reason: 'FieldManagerConflict',
        message: 'conflict with "kubectl-scale" using apps/v1 at 2026-01-02T03:04:05Z',
        field: '.spec.replicas',
      },
    ]);
  });

  it('lists several conflicts by manager', () => {
    const one = apply(undefined, configMap({ a: '1', b: '1' }), 'one');
    const two = apply(one, configMap({ c: '1' }), 'two');
    expect(conflictOf(() => apply(two, configMap({ a: '2', b: '2', c: '2' }), 'me')).message).toBe(
      'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\nconflicts with "two":\n- .data.c',
    );
  });

  it('takes fields over by force', () => {
    const live = apply(undefined, configMap({ a: '1' }), 'one');
    const forced = apply(live, configMap({ a: '2' }), 'two', { force: true });
    expect(forced.data).toEqual({ a: '2' });
    expect(managersOf(forced)).toEqual(['two']);
  });

  it('gives an updated field back to an updater without conflict', () => {
    const live = apply(undefined, deployment({ replicas: 1 }), 'one');
    const scaled = update(live, { ...live, spec: { ...specOf(live), replicas: 5 } }, 'scaler');
    const left = apply(scaled, deployment({}), 'one');
    expect(specOf(left).replicas).toBe(5);
  });

  it('merges list maps by key and keeps what only the live list holds', () => {
    const live = apply(undefined, deployment({ containers: [{ name: 'a', image: '1' }] }), 'one');
    const both = apply(live, deployment({ containers: [{ name: 'b', image: '1' }] }), 'two');
    expect(namesOf(both)).toEqual(['a', 'b']);
    const gone = apply(both, deployment({ containers: [] }), 'one');
    expect(namesOf(gone)).toEqual(['b']);
  });

  it('takes the order of the configuration for list maps', () => {
    const at = (...names: string[]) => deployment({ containers: names.map((name) => ({ name })) });
    const live = apply(undefined, at('a', 'b', 'c'), 'one');
    const injected = update(
      live,
      deployment({ containers: ['a', 'x', 'b', 'c'].map((name) => ({ name })) }),
      'mesh',
    );
    injected.metadata = { ...injected.metadata };
    expect(namesOf(apply(injected, at('b', 'a', 'c'), 'one'))).toEqual(['x', 'b', 'a', 'c']);
    expect(namesOf(apply(injected, at('a', 'n', 'b', 'c'), 'one'))).toEqual([
      'a',
      'x',
      'n',
      'b',
      'c',
    ]);
  });

  it('removes an item with all that it brought', () => {
    const live = apply(
      undefined,
      deployment({
        containers: [{ name: 'a', image: '1', env: [{ name: 'X', value: '1' }] }, { name: 'b' }],
      }),
      'one',
    );
    expect(containersOf(apply(live, deployment({ containers: [{ name: 'b' }] }), 'one'))).toEqual([
      { name: 'b' },
    ]);
  });

  it('finds the item whose key leaves the default out', () => {
    const ports = (port: object) => deployment({ containers: [{ name: 'a', ports: [port] }] });
    const live = apply(undefined, ports({ containerPort: 80, protocol: 'TCP' }), 'one');
    const again = apply(live, ports({ containerPort: 80, name: 'http' }), 'one');
    expect(containersOf(again)[0].ports).toEqual([{ containerPort: 80, name: 'http' }]);
  });

  it('owns atomic lists and maps whole', () => {
    const args = (...list: string[]) => deployment({ containers: [{ name: 'a', args: list }] });
    const live = apply(undefined, args('x', 'y'), 'one');
    expect(conflictOf(() => apply(live, args('x'), 'two')).message).toContain(
      '.spec.template.spec.containers[name="a"].args',
    );
    expect(containersOf(apply(live, args('z'), 'one'))[0].args).toEqual(['z']);
    const selector = { selector: { matchLabels: { app: 'web' } } };
    const selected = apply(undefined, deployment(selector), 'one');
    const other = deployment({ selector: { matchLabels: { tier: 'x' } } });
    expect(conflictOf(() => apply(selected, other, 'two')).message).toContain('.spec.selector');
  });

  it('treats sets by value', () => {
    const live = apply(undefined, configMap({}, { finalizers: ['a.b/c'] }), 'one');
    const both = apply(live, configMap({}, { finalizers: ['d.e/f'] }), 'two');
    expect(both.metadata.finalizers).toEqual(['a.b/c', 'd.e/f']);
    expect(apply(both, configMap({}), 'one').metadata.finalizers).toEqual(['d.e/f']);
  });

  it('leaves status to the status sub-resource, and the reverse', () => {
    const config = { ...deployment({ replicas: 2 }), status: { replicas: 9 } };
    const main = apply(undefined, config, 'one');
    expect(main.metadata.managedFields?.[0]?.fieldsV1).not.toHaveProperty(['f:status']);
    const status = apply(main, config, 'two', { subresource: 'status' });
    const entry = status.metadata.managedFields?.find((e) => e.manager === 'two');
    expect(entry).toMatchObject({
      subresource: 'status',
      fieldsV1: { 'f:status': { 'f:replicas': {} } },
    });
    expect(entry?.fieldsV1).not.toHaveProperty(['f:spec']);
  });

  it('keeps Apply and Update of one manager apart', () => {
    const live = update(undefined, configMap({ a: '1' }), 'me');
    const err = conflictOf(() => apply(live, configMap({ a: '2' }), 'me'));
    expect(err.message).toContain('conflict with "me" using v1');
  });

  it('lets kubectl take over what its client-side apply wrote, and keeps the annotation true', () => {
    const lastApplied = JSON.stringify(configMap({ a: '1' }));
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': lastApplied };
    const live = update(
      undefined,
      configMap({ a: '1', b: '1' }, { annotations }),
      'kubectl-client-side-apply',
    );
    const result = apply(live, configMap({ a: '2' }), 'kubectl');
    expect(result.data).toEqual({ a: '2', b: '1' });
    const annotation =
      result.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
    expect(JSON.parse(annotation ?? '')).toMatchObject({ data: { a: '2' } });
    conflictOf(() => apply(live, configMap({ a: '2' }), 'somebody'));
    conflictOf(() => apply(live, configMap({ b: '2' }), 'kubectl'));
  });

  it('changes nothing when applied again later, once unchanged times are kept', () => {
    const config = deployment({ replicas: 1, containers: [{ name: 'a' }] });
    const live = apply(undefined, config, 'one');
    expect(apply(live, config, 'one', { now: NOW + 5000 })).toEqual(live);
    const later = structuredClone(live);
    for (const entry of later.metadata.managedFields ?? []) entry.time = '2030-01-01T00:00:00Z';
    keepUnchangedTimes(live, later);
    expect(later).toEqual(live);
  });

  it.each([
    ['an unknown field', { ...configMap({}), datta: {} }, '.datta: field not declared in schema'],
    [
      'several things at once, in upstream words',
      { ...configMap({}), datta: {}, data: 'x', immutable: 1 },
      'failed to create typed patch object (/a; /v1, Kind=ConfigMap): errors:\n  .data: expected map, got &{x}\n  .datta: field not declared in schema\n  .immutable: expected boolean, got &{1}',
    ],
    [
      'text for a number',
      deployment({ containers: [], replicas: '1' as never }),
      '.spec.replicas: expected numeric (int or float), got string',
    ],
    [
      'a list item without key',
      deployment({ containers: [{ image: 'x' }] }),
      'omits key field "name"',
    ],
    [
      'two items of one key',
      deployment({ containers: [{ name: 'a' }, { name: 'a' }] }),
      'duplicate entries for key [name="a"]',
    ],
    ['a list for a map', { ...configMap({}), data: ['x'] }, '.data: expected map, got &{[x]}'],
    [
      'managedFields',
      configMap({}, { managedFields: [{ manager: 'x' }] }),
      'metadata.managedFields must be nil',
    ],
    [
      'another version',
      { ...configMap({}), apiVersion: 'v2' },
      'Incorrect version specified in apply patch',
    ],
  ])('refuses %s', (_name, config, message) => {
    const act = () => apply(undefined, config as KubeObject, 'one');
    expect(act).toThrow(message);
    expect(act).toThrow(expect.objectContaining({ code: 400 }));
  });
});

describe('the laws of apply', () => {
  const data = fc.dictionary(
    fc.constantFrom('a', 'b', 'c', '__proto__'),
    fc.constantFrom('1', '2'),
  );
  const container = fc.record(
    {
      name: fc.constantFrom('a', 'b', 'c'),
      image: fc.constantFrom('x', 'y'),
      args: fc.array(fc.constantFrom('p', 'q'), { maxLength: 2 }),
      env: fc.uniqueArray(
        fc.record({ name: fc.constantFrom('E', 'F'), value: fc.constantFrom('1', '2') }),
        {
          selector: (e) => e.name,
          maxLength: 2,
        },
      ),
    },
    { requiredKeys: ['name'] },
  );
  const config = fc
    .record({
      replicas: fc.option(fc.nat(3), { nil: undefined }),
      labels: fc.option(data, { nil: undefined }),
      containers: fc.uniqueArray(container, { selector: (c) => c.name, maxLength: 3 }),
    })
    .map(({ replicas, labels, containers }) => {
      const object = deployment({ ...(replicas === undefined ? {} : { replicas }), containers });
      if (labels !== undefined) object.metadata = { ...object.metadata, labels };
      return object;
    });
  const force = { force: true };
  const bare = ({ metadata: { managedFields: _, ...metadata }, ...rest }: KubeObject) =>
    JSON.stringify({ ...rest, metadata });

  it('applying twice is applying once', () => {
    fc.assert(
      fc.property(config, config, (first, second) => {
        const live = apply(undefined, first, 'one');
        const once = apply(live, second, 'two', force);
        expect(apply(once, second, 'two')).toEqual(once);
      }),
    );
  });

  it('a forced configuration holds afterwards', () => {
    fc.assert(
      fc.property(config, config, (first, second) => {
        const live = apply(undefined, first, 'one');
        const forced = apply(live, second, 'two', force);
        expect(bare(apply(forced, second, 'probe'))).toBe(bare(forced));
      }),
    );
  });

  it('whoever applied alone and applies another configuration gets just that', () => {
    fc.assert(
      fc.property(config, config, (first, second) => {
        const live = apply(undefined, first, 'one');
        const next = apply(live, second, 'one');
        expect(namesOf(next).toSorted()).toEqual(namesOf(second).toSorted());
        expect(specOf(next)?.replicas).toBe(specOf(second).replicas);
        expect(Object.keys(next.metadata.labels ?? {}).toSorted()).toEqual(
          Object.keys(second.metadata.labels ?? {}).toSorted(),
        );
        for (const c of containersOf(second)) {
          const found = containersOf(next).find((o: { name: string }) => o.name === c.name);
          expect(found.image).toBe(c.image);
        }
      }),
    );
  });

  it('never changes its arguments', () => {
    fc.assert(
      fc.property(config, config, (first, second) => {
        const live = apply(undefined, first, 'one');
        const [liveText, configText] = [JSON.stringify(live), JSON.stringify(second)];
        apply(live, second, 'two', force);
        expect(JSON.stringify(live)).toBe(liveText);
        expect(JSON.stringify(second)).toBe(configText);
      }),
    );
  });
});
