import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
  SECRETS,
} from '../../src/api/resource-types.ts';
import { STORAGE_CLASSES } from '../../src/api/system-resource-types.ts';
import { loadKubeconfig } from '../../src/client/kubeconfig.ts';
import { RestClient } from '../../src/client/rest-client.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ controllers: true });
});
afterAll(() => plane?.stop());

const key = { namespace: 'default', name: 'data' };

/** Says of the helper Pods what a kubelet would. */
async function finishHelpers(): Promise<void> {
  const { items } = await plane.client.list(PODS, { namespace: 'kube-system' });
  for (const { metadata, status } of items) {
    if (!metadata.name.startsWith('helper-pod-') || status?.phase === 'Succeeded') continue;
    const body = { status: { phase: 'Succeeded' } };
    await plane.client.patch(PODS, metadata, { type: 'merge', body }, { subresource: 'status' });
  }
}

describe('storage', () => {
  it('gives a claim its volume on the node of its first Pod, and takes it away with the claim', async () => {
    const { client } = plane;
    await eventually('the default class', () =>
      client.get(STORAGE_CLASSES, { namespace: '', name: 'local-path' }),
    );
    const conditions = [{ type: 'Ready', status: 'True' }];
    const room = { cpu: '4', memory: '8Gi', pods: '110' };
    const labels = { 'kubernetes.io/hostname': 'n1' };
    await client.create(NODES, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1', labels },
    });
    const body = { status: { capacity: room, allocatable: room, conditions } };
    const node = { namespace: '', name: 'n1' };
    await client.patch(NODES, node, { type: 'merge', body }, { subresource: 'status' });
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } };
    await client.create(PERSISTENT_VOLUME_CLAIMS, {
      ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: key, spec },
    });
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }];
    await client.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', name: 'p' },
      spec: { containers: [{ name: 'c', image: 'x' }], volumes },
    });
    await eventually('a bound claim and a Pod with a node', async () => {
      await finishHelpers();
      const claim = await client.get(PERSISTENT_VOLUME_CLAIMS, key);
      const pod = await client.get(PODS, { namespace: 'default', name: 'p' });
      return claim.status?.phase === 'Bound' && pod.spec?.nodeName === 'n1';
    });
    await client.delete(PERSISTENT_VOLUME_CLAIMS, key);
    const held = await client.get(PERSISTENT_VOLUME_CLAIMS, key);
    expect(held.metadata.finalizers).toContain('kubernetes.io/pvc-protection');
    await client.delete(PODS, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 0 });
    await eventually('nothing left', async () => {
      await finishHelpers();
      const left = await client.list(PERSISTENT_VOLUMES);
      const helpers = await client.list(PODS, { namespace: 'kube-system' });
      return left.items.length + helpers.items.length === 0;
    });
  });
});

describe('token Secrets', () => {
  it('are good for their account until they are deleted', async () => {
    const { client } = plane;
    const token = { namespace: 'default', name: 'token' };
    const annotations = { 'kubernetes.io/service-account.name': 'default' };
    await client.create(SECRETS, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...token, annotations },
      type: 'kubernetes.io/service-account-token',
    });
    const data = await eventually('a token', async () => (await client.get(SECRETS, token)).data);
    const { server, ca } = await loadKubeconfig(plane.kubeconfig);
    const bearer = { data: Buffer.from(data.token ?? '', 'base64').toString() };
    const robot = new RestClient({ server, ...(ca ? { ca } : {}), token: bearer });
    try {
      const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
      expect(await robot.raw('POST', path, review)).toMatchObject({
        status: { userInfo: { username: 'system:serviceaccount:default:default' } },
      });
      await client.delete(SECRETS, token);
      await expect(robot.raw('POST', path, review)).rejects.toThrow('Unauthorized');
    } finally {
      robot.close();
    }
  });
});
