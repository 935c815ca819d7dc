import { describe, expect, it } from 'vitest';
import type { Node } from '../api/types.ts';
import { mirrorOf, mirrors, parseStaticPod } from './static-pod.ts';

const source = {
  file: '/etc/manifests/web.yaml',
  nodeName: 'node-1',
  seen: '2026-01-01T00:00:00Z',
};
const MANIFEST = `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  hostNetwork: true
  containers:
  - { name: web, image: "nginx:1", ports: [{ containerPort: 80 }] }
`;

describe('parseStaticPod', () => {
  it('names the pod after its node, gives it a stable uid and fills in defaults', async () => {
    const pod = await parseStaticPod(MANIFEST, source);
    expect(pod.metadata).toMatchObject({
      name: 'web-node-1',
      namespace: 'default',
      labels: { app: 'web' },
      annotations: {
        'kubernetes.io/config.source': 'file',
        'kubernetes.io/config.hash': pod.metadata.uid,
      },
    });
    expect(pod.spec).toMatchObject({
      nodeName: 'node-1',
      restartPolicy: 'Always',
      tolerations: [{ operator: 'Exists', effect: 'NoExecute' }],
      containers: [{ imagePullPolicy: 'IfNotPresent', ports: [{ hostPort: 80, protocol: 'TCP' }] }],
    });
    const again = await parseStaticPod(MANIFEST, { ...source, seen: '2027-01-01T00:00:00Z' });
    expect(again.metadata.uid).toBe(pod.metadata.uid);
    const changed = await parseStaticPod(MANIFEST.replace('nginx:1', 'nginx:2'), source);
    expect(changed.metadata.uid).not.toBe(pod.metadata.uid);
  });

  it.each([
    ['kind: Deployment', 'no Pod of apiVersion v1', (m: string) => m.replace('Pod', 'Deployment')],
    [
      'an unknown field',
      'unknown field "spec.hostNetwrk"',
      (m: string) => m.replace('hostNetwork', 'hostNetwrk'),
    ],
    ['a value of the wrong type', 'cannot unmarshal', (m: string) => m.replace('true', '[1]')],
    ['a bad name', 'metadata.name: ', (m: string) => m.replace('name: web,', 'name: Web_1,')],
    [
      'no containers',
      'spec.containers: Required value',
      () => '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[]}}',
    ],
    [
      'a service account',
      'static pods may not reference service accounts',
      (m: string) => m.replace('hostNetwork: true', 'serviceAccountName: a'),
    ],
    [
      'a secret volume',
      'static pods may not reference secret volumes',
      (m: string) =>
        m.replace('hostNetwork: true', 'volumes: [{ name: a, secret: { secretName: a } }]'),
    ],
  ])('refuses %s', async (_what, message, change) => {
    await expect(parseStaticPod(change(MANIFEST), source)).rejects.toThrow(message);
  });
});

describe('mirrorOf', () => {
  it('is owned by the node and shows exactly one version of the pod', async () => {
    const pod = await parseStaticPod(MANIFEST, source);
    const node = { metadata: { name: 'node-1', uid: 'n1' } } as unknown as Node;
    const mirror = mirrorOf(pod, node);
    expect(mirror.metadata.ownerReferences).toEqual([
      { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: 'n1', controller: true },
    ]);
    const stored = { ...mirror, metadata: { ...mirror.metadata, uid: 'm' } } as typeof pod;
    expect(mirrors(stored, pod)).toBe(true);
    const next = await parseStaticPod(MANIFEST.replace('nginx:1', 'nginx:2'), source);
    expect(mirrors(stored, next)).toBe(false);
  });
});
