import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { builtinSchema } from '../../api/builtin-schema.ts';
import { decodeObject } from '../../api/decode.ts';
import type { KubeObject } from '../../api/types.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { builtinKinds } from './registry.ts';

const kinds = builtinKinds();
const schema = builtinSchema();

/** The rows of a table of facts about upstream v1.36, as objects by column name. */
function factsOf(file: string): Record<string, string>[] {
  const url = new URL(`../../../test/fixtures/upstream/${file}`, import.meta.url);
  const [head = '', ...lines] = readFileSync(url, 'utf8').trimEnd().split('\n');
  const names = head.split('\t');
  return lines.map((line) => {
    const cells = line.split('\t');
    return Object.fromEntries(names.map((name, i) => [name, cells[i] ?? '']));
  });
}

const named = (kind: ResourceKind) => `${kind.group}/${kind.version}/${kind.resource}`;
const words = (text: string | undefined) => (text ? text.split(',') : []);

describe('resources and sub-resources are those of upstream', () => {
  // Of what upstream serves only when it is told to: what this project's kubelet makes use of.
  const asked = new Set(['clustertrustbundles']);
  const facts = factsOf('resources.tsv').filter(
    (f) => f.stability === 'stable' || (f.stability === 'beta' && asked.has(f.resource ?? '')),
  );
  const main = facts.filter((f) => !f.resource?.includes('/'));

  test('every stable resource is there, and no other but those that were asked for', () => {
    const wanted = main.map((f) => `${f.group}/${f.version}/${f.resource}`);
    expect(kinds.map(named).sort()).toEqual(wanted.sort());
  });

  test.each(main.map((f) => [`${f.group}/${f.version}/${f.resource}`, f] as const))(
    '%s',
    (name, fact) => {
      const kind = kinds.find((k) => named(k) === name);
      expect({
        kind: kind?.kind,
        namespaced: String(kind?.namespaced),
        verbs: kind?.verbs.toSorted(),
        singular: kind?.singular,
        shortNames: kind?.shortNames,
        categories: kind?.categories,
      }).toEqual({
        kind: fact.kind,
        namespaced: fact.namespaced,
        verbs: words(fact.verbs).sort(),
        singular: fact.singular,
        shortNames: words(fact.shortNames),
        categories: words(fact.categories),
      });
    },
  );

  test.each(main.map((f) => [`${f.group}/${f.version}/${f.resource}`, f] as const))(
    'sub-resources of %s',
    (name, fact) => {
      const kind = kinds.find((k) => named(k) === name);
      const wanted = facts
        .filter((f) => f.group === fact.group && f.version === fact.version)
        .filter((f) => f.resource?.startsWith(`${fact.resource}/`))
        .map((f) => [f.resource?.split('/')[1], words(f.verbs).sort()]);
      const own = Object.entries(kind?.subresources ?? {}).map(([sub, declared]) => [
        sub,
        declared.type === 'scale' ? ['get', 'patch', 'update'] : declared.verbs.toSorted(),
      ]);
      expect(Object.fromEntries(own)).toEqual(Object.fromEntries(wanted));
    },
  );
});

describe('every kind', () => {
  const columns = factsOf('table-columns.tsv').filter((f) => !f.source?.includes('not wired'));

  test.each(kinds.map((k) => [named(k), k] as const))(
    '%s prints upstream columns',
    (_name, kind) => {
      const wanted = columns
        .filter((f) => f.kind === kind.kind)
        .map((f) => [f.column, f.type, f.format ?? '', Number(f.priority)]);
      if (kind.virtual && wanted.length === 0) return;
      expect(kind.columns.map((c) => [c.name, c.type, c.format ?? '', c.priority])).toEqual(wanted);
    },
  );

  test.each(kinds.map((k) => [named(k), k] as const))(
    '%s bears an object that says nothing',
    (_name, kind) => {
      const { object } = decodeObject(
        { metadata: { name: 'a' } },
        { schema, definition: kind.definition },
      );
      const empty = object as KubeObject;
      const context = { user: { name: 'u', groups: [] }, dryRun: false, now: 0, warn: () => {} };
      kind.strategy.default?.(empty);
      kind.strategy.prepareForCreate?.(empty, context);
      kind.strategy.prepareForUpdate?.(empty, structuredClone(empty), context);
      expect(kind.row(empty, 0)).toHaveLength(kind.columns.length);
      expect(kind.row(empty, 0)).not.toContain(undefined);
      const bare = { apiVersion: 'v1', kind: kind.kind, metadata: {} };
      for (const object of [empty, bare]) {
        for (const value of Object.values(kind.fieldsOf?.(object) ?? {})) {
          expect(value).toBeTypeOf('string');
        }
      }
      for (const sub of Object.values(kind.subresources)) {
        if (sub.type !== 'view') continue;
        sub.strategy.prepareForUpdate?.(empty, structuredClone(empty), context);
      }
    },
  );
});

test('events.k8s.io shows the same stored object under its own names', () => {
  const kind = kinds.find((k) => k.group === 'events.k8s.io');
  const event = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'a', namespace: 'b' },
    regarding: { kind: 'Pod', name: 'web' },
    note: 'hello',
    reason: 'Started',
    reportingController: 'kubelet',
    reportingInstance: 'node-1',
    eventTime: '2026-01-01T00:00:00.000000Z',
  };
  const stored = kind?.storedAs?.toStored(event as KubeObject);
  expect(stored).toMatchObject({
    apiVersion: 'v1',
    involvedObject: { kind: 'Pod', name: 'web' },
    message: 'hello',
    reportingComponent: 'kubelet',
  });
  expect(kind?.storedAs?.fromStored(stored as KubeObject)).toEqual(event);
});

test('autoscaling/v1 keeps what only v2 knows through a round trip', () => {
  const kind = kinds.find((k) => k.group === 'autoscaling' && k.version === 'v1');
  const v2 = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'a', namespace: 'b', annotations: { mine: '1' } },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' },
      maxReplicas: 5,
      minReplicas: 1,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
        },
        {
          type: 'Resource',
          resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
        },
      ],
      behavior: { scaleDown: { selectPolicy: 'Disabled' } },
    },
    status: { currentReplicas: 1, desiredReplicas: 1 },
  };
  const v1 = kind?.storedAs?.fromStored(v2 as unknown as KubeObject);
  expect(v1).toMatchObject({ spec: { targetCPUUtilizationPercentage: 50 } });
  const back = kind?.storedAs?.toStored(v1 as KubeObject) as unknown as typeof v2;
  expect(back.spec).toEqual(v2.spec);
  expect(back.metadata).toEqual(v2.metadata);
});
