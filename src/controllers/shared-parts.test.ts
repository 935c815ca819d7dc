import { describe, expect, it } from 'vitest';
import type { Pod } from '../api/types.ts';
import { SharedParts, sharePod } from './shared-parts.ts';

const podOf = (name: string, image = 'x') =>
  ({
    metadata: { name, labels: { app: 'web' }, ownerReferences: [{ name: 'web', uid: 'u' }] },
    spec: {
      tolerations: [{ key: 'a', operator: 'Exists' }],
      containers: [
        {
          name: 'c',
          image,
          env: [{ name: 'E', value: 'v' }],
          volumeMounts: [{ name: `${name}-v` }],
        },
      ],
      volumes: [{ name: `${name}-v`, projected: { sources: [{ configMap: { name: 'm' } }] } }],
    },
    status: { phase: 'Running' },
  }) as unknown as Pod;

describe('sharePod', () => {
  it('changes nothing of what a Pod says', () => {
    const parts = new SharedParts();
    for (const name of ['a', 'b', 'a']) {
      expect(sharePod(podOf(name), parts)).toEqual(podOf(name));
    }
  });

  it('keeps what comes from one template once', () => {
    const parts = new SharedParts();
    const [a, b] = [sharePod(podOf('a'), parts), sharePod(podOf('b'), parts)];
    expect(b.metadata.labels).toBe(a.metadata.labels);
    expect(b.metadata.ownerReferences).toBe(a.metadata.ownerReferences);
    expect(b.spec?.tolerations).toBe(a.spec?.tolerations);
    expect(b.spec?.containers[0]?.env).toBe(a.spec?.containers[0]?.env);
    expect(b.spec?.volumes?.[0]?.projected).toBe(a.spec?.volumes?.[0]?.projected);
    expect(b.spec?.volumes?.[0]?.name).toBe('b-v');
  });

  it('remembers no more than it may, and shares again afterwards', () => {
    const parts = new SharedParts();
    const [first] = [parts.of({ i: -1 })];
    for (let i = 0; i < 5000; i++) parts.of({ i });
    const again = parts.of({ i: -1 });
    expect(again).toEqual(first);
    expect(parts.of({ i: -1 })).toBe(again);
  });
});
