import { isAlreadyExists } from '../../api/errors.ts';
import { isControlledBy } from '../../api/owner-references.ts';
import { type ObjectKey, PERSISTENT_VOLUME_CLAIMS, PODS } from '../../api/resource-types.ts';
import type { Draft, PersistentVolumeClaim, Pod } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { errorMessage } from '../../util/errors.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { controllerReference } from '../controller-reference.ts';
import { ephemeralClaimName } from '../pod-volumes.ts';

type Volume = NonNullable<NonNullable<Pod['spec']>['volumes']>[number];

/** Makes the claims that ephemeral volumes of Pods stand for (KEP-1698). They go with their Pods. */
export function ephemeralVolumeController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const pods = informers.get(PODS);
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const events = context.events('ephemeral_volume');
  const ensure = async (pod: Pod, volume: Volume) => {
    const name = ephemeralClaimName(pod, volume.name);
    const { namespace } = pod.metadata;
    const known = claims.get({ namespace, name });
    if (known && !isControlledBy(known, pod)) {
      throw new Error(
        `PVC ${namespace}/${name} was not created for pod ${keyOf(pod)} (pod is not owner)`,
      );
    }
    if (known) return;
    try {
      await client.create(PERSISTENT_VOLUME_CLAIMS, claimFor(pod, volume));
    } catch (err) {
      if (!isAlreadyExists(err)) throw err;
    }
  };
  const reconciler: Reconciler = {
    name: 'ephemeral-volume-controller',
    async reconcile(key: ObjectKey) {
      const pod = pods.get(key);
      if (!pod || pod.metadata.deletionTimestamp) return DONE;
      for (const volume of ephemeralOf(pod)) {
        try {
          await ensure(pod, volume);
        } catch (err) {
          const text = `ephemeral volume controller: ${errorMessage(err)}`;
          events.event(pod, 'Warning', 'FailedBinding', text);
          throw err;
        }
      }
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.needs(pods);
  controller.needs(claims);
  pods.addHandler({
    onAdd: (pod) => {
      if (ephemeralOf(pod).length > 0) controller.enqueue(keyOf(pod));
    },
  });
  claims.addHandler({
    onDelete: ({ metadata }) => {
      for (const { kind, name } of metadata.ownerReferences ?? []) {
        if (kind === 'Pod') controller.enqueue(`${metadata.namespace}/${name}`);
      }
    },
  });
  return controller;
}

function ephemeralOf(pod: Pod): Volume[] {
  return (pod.spec?.volumes ?? []).filter(({ ephemeral }) => ephemeral !== undefined);
}

function claimFor(pod: Pod, { name, ephemeral }: Volume): Draft<PersistentVolumeClaim> {
  const { metadata = {}, spec } = structuredClone(ephemeral?.volumeClaimTemplate ?? { spec: {} });
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      ...(metadata.labels ? { labels: metadata.labels } : {}),
      ...(metadata.annotations ? { annotations: metadata.annotations } : {}),
      namespace: pod.metadata.namespace,
      name: ephemeralClaimName(pod, name),
      ownerReferences: [controllerReference({ ...pod, apiVersion: 'v1', kind: 'Pod' })],
    },
    spec,
  };
}
