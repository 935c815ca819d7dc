import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PersistentVolume } from '../../src/api/types.ts';
import { eventually } from '../support/eventually.ts';
import { BUSYBOX_IMAGE } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'local-path');
const volumes = join(cluster.paths.state, 'volumes');
const labels = { app: 'db' };

/** Directories of this namespace's claims on the node. */
function directories(): string[] {
  if (!existsSync(volumes)) return [];
  return readdirSync(volumes).filter((name) => name.includes(`_${ns.name}_`));
}

describe('the default storage class', () => {
  it('gives a StatefulSet volumes on its node, keeps them over Pods, and takes them away as its policy says', async () => {
    await ns.apply({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db' },
      spec: {
        serviceName: 'db',
        replicas: 2,
        selector: { matchLabels: labels },
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 0,
            securityContext: { runAsUser: 1234 },
            containers: [
              {
                name: 'main',
                image: BUSYBOX_IMAGE,
                command: ['sh', '-c', 'hostname >> /data/starts; sleep 3600'],
                volumeMounts: [{ name: 'data', mountPath: '/data' }],
              },
            ],
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
          },
        ],
      },
    });
    await ns.kubectl('rollout', 'status', 'statefulset/db', '--timeout=120s');
    const claim = await ns.get('pvc', 'data-db-0');
    expect(claim.spec.storageClassName).toBe('local-path');
    expect(claim.status).toMatchObject({ phase: 'Bound', capacity: { storage: '1Mi' } });
    expect(directories()).toHaveLength(2);

    await ns.kubectl('delete', 'pod', 'db-0');
    await ns.kubectl('rollout', 'status', 'statefulset/db', '--timeout=120s');
    const mine = directories().find((name) => name.endsWith('_data-db-0')) ?? '';
    await eventually('a second start on the same volume', () => {
      return readFileSync(join(volumes, mine, 'starts'), 'utf8') === 'db-0\ndb-0\n';
    });

    await ns.kubectl('scale', 'statefulset/db', '--replicas=1');
    await eventually('one volume', () => directories().join() === mine);
    await ns.kubectl('delete', 'statefulset/db');
    await eventually('no volume', () => directories().length === 0);
    await eventually('no PersistentVolume', async () => {
      const { items } = await cluster.get('pv');
      return items.every((pv: PersistentVolume) => pv.spec?.claimRef?.namespace !== ns.name);
    });
  });
});
