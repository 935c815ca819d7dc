import { describe, expect, test } from 'vitest';
import { builtinSchema } from '../../api/builtin-schema.ts';
import type { KubeObject } from '../../api/types.ts';
import { builtinKinds } from './registry.ts';

const kinds = builtinKinds();

describe('every built-in kind', () => {
  test.each(kinds.map((k) => [`${k.group}/${k.version} ${k.resource}`, k] as const))(
    '%s has a definition and prints a row for an empty object',
    (_name, kind) => {
      expect(builtinSchema().definition(kind.definition)).toBeDefined();
      const object = {
        apiVersion: 'x',
        kind: kind.kind,
        metadata: { name: 'a' },
        ...minimum(kind),
      };
      kind.strategy.default?.(object as KubeObject);
      expect(kind.row(object as KubeObject, 0)).toHaveLength(kind.columns.length);
    },
  );

  test('is listed once per version', () => {
    const names = kinds.map((k) => `${k.group}/${k.version}/${k.resource}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

/** The required fields that decoding guarantees before a strategy sees an object. */
function minimum(kind: { kind: string; group: string }): Record<string, unknown> {
  return kind.kind === 'Event' && kind.group === '' ? { involvedObject: {} } : {};
}

test('a Deployment gets upstream defaults', () => {
  const kind = kinds.find((k) => k.kind === 'Deployment');
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { spec: { containers: [{ name: 'web', image: 'web' }] } },
    },
  };
  kind?.strategy.default?.(deployment as unknown as KubeObject);
  expect(deployment.spec).toMatchObject({
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    template: {
      spec: {
        restartPolicy: 'Always',
        dnsPolicy: 'ClusterFirst',
        terminationGracePeriodSeconds: 30,
        schedulerName: 'default-scheduler',
        securityContext: {},
        containers: [
          {
            imagePullPolicy: 'Always',
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'File',
            resources: {},
          },
        ],
      },
    },
  });
});
