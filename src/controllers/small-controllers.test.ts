import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
} from '../api/resource-types.ts';
import { ephemeralVolumeController } from './ephemeral-volume/ephemeral-volume-controller.ts';
import { nodeTtlController, ttlStep } from './node-ttl/node-ttl-controller.ts';
import { expandController } from './volume-expand/expand-controller.ts';
import { World } from './world.fake.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

describe('node TTL', () => {
  it.each([
    [1, 0, 0],
    [100, 0, 0],
    [101, 0, 1],
    [95, 1, 1],
    [89, 1, 0],
    [5000, 0, 4],
    [20_000, 0, 5],
  ])('%i nodes, coming from step %i: %i', (nodes, from, to) =>
    expect(ttlStep(nodes, from)).toBe(to),
  );

  it('writes the annotation once', async () => {
    world.client.seed(NODES, { metadata: { name: 'n' } } as never);
    world.start([nodeTtlController]);
    await world.until(async () => {
      const { metadata } = await world.client.get(NODES, { namespace: '', name: 'n' });
      expect(metadata.annotations).toEqual({ 'node.alpha.kubernetes.io/ttl': '0' });
    });
    await world.atRest();
    expect(world.client.actions).toHaveLength(1);
  });
});

describe('ephemeral volumes', () => {
  const volumeClaimTemplate = {
    metadata: { labels: { a: 'b' } },
    spec: { accessModes: ['ReadWriteOnce'] },
  };
  const pod = {
    metadata: { namespace: 'a', name: 'p' },
    spec: { containers: [], volumes: [{ name: 'tmp', ephemeral: { volumeClaimTemplate } }] },
  } as never;

  it('become claims of their Pod', async () => {
    world.client.seed(PODS, pod);
    world.start([ephemeralVolumeController]);
    await world.until(() =>
      expect(world.client.all(PERSISTENT_VOLUME_CLAIMS)).toMatchObject([
        {
          metadata: {
            name: 'p-tmp',
            labels: { a: 'b' },
            ownerReferences: [{ kind: 'Pod', name: 'p', controller: true }],
          },
          spec: { accessModes: ['ReadWriteOnce'] },
        },
      ]),
    );
  });

  it('never take a claim that is not theirs', async () => {
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, {
      metadata: { namespace: 'a', name: 'p-tmp' },
    } as never);
    world.client.seed(PODS, pod);
    world.start([ephemeralVolumeController]);
    await world.until(() =>
      expect(world.events.lines[0]).toBe(
        'Warning FailedBinding a/p: ephemeral volume controller: PVC a/p-tmp was not created for pod a/p (pod is not owner)',
      ),
    );
  });
});

describe('expansion', () => {
  it('is waited for', async () => {
    const key = { namespace: 'a', name: 'data' };
    world.client.seed(PERSISTENT_VOLUMES, { metadata: { name: 'pv' } } as never);
    world.client.seed(PERSISTENT_VOLUME_CLAIMS, {
      metadata: key,
      spec: { volumeName: 'pv', resources: { requests: { storage: '1Gi' } } },
      status: { phase: 'Bound', capacity: { storage: '1Gi' } },
    } as never);
    world.start([expandController]);
    await world.atRest();
    expect(world.events.lines).toEqual([]);
    const body = { spec: { resources: { requests: { storage: '2Gi' } } } };
    await world.client.patch(PERSISTENT_VOLUME_CLAIMS, key, { type: 'merge', body });
    await world.until(() =>
      expect(world.events.lines).toEqual([
        'Normal ExternalExpanding a/data: waiting for an external controller to expand this PVC',
      ]),
    );
  });
});
