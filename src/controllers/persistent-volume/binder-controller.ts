import { isNotFound } from '../../api/errors.ts';
import {
  keyString,
  type ObjectKey,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
  parseKey,
} from '../../api/resource-types.ts';
import { STORAGE_CLASSES } from '../../api/system-resource-types.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import type { Controller } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { Overlay } from '../overlay.ts';
import { claimKeysOf } from '../pod-volumes.ts';
import { classOf } from '../volume-class.ts';
import { BIND_COMPLETED, Binding } from './binding.ts';
import { ClaimReconciler } from './claims.ts';
import { VolumeReconciler } from './volumes.ts';

/** Binds claims and volumes to each other. One worker each: two claims must not reach for one volume. */
export function volumeBinder(context: ControllerContext): readonly Runnable[] {
  const { client, informers } = context;
  const claims = informers.get(PERSISTENT_VOLUME_CLAIMS);
  const volumes = informers.get(PERSISTENT_VOLUMES);
  const classes = informers.get(STORAGE_CLASSES);
  const pods = informers.get(PODS);
  const written = { claims: new Overlay(claims), volumes: new Overlay(volumes) };
  const events = context.events('persistentvolume-controller');
  const binding = new Binding({ client, events, ...written });
  const claim = (key: ObjectKey) => written.claims.get(key);
  const volume = (name: string) => written.volumes.get({ namespace: '', name });
  const all = () => written.volumes.over(volumes.list(), () => true);
  const claimLoop: Controller = newController(
    context,
    new ClaimReconciler({ binding, claim, volume, volumes: all, classes, pods }),
    { workers: 1 },
  );
  const volumeLoop: Controller = newController(
    context,
    new VolumeReconciler({
      ...{ binding, volume, claim },
      async freshClaim(key) {
        try {
          return await client.get(PERSISTENT_VOLUME_CLAIMS, key);
        } catch (err) {
          if (isNotFound(err)) return undefined;
          throw err;
        }
      },
      enqueueClaim: (key) => claimLoop.enqueue(keyString(key)),
    }),
    { workers: 1 },
  );
  claimLoop.watch(claims);
  claimLoop.watch(volumes, (changed) => claimsAbout(changed, claims));
  // A class that appears may be the one that claims wait for.
  claimLoop.watch(classes, (changed) => unboundClaims(claims, changed.metadata.name));
  claimLoop.needs(pods);
  pods.addHandler({
    onAdd: (pod) => {
      for (const key of claimKeysOf(pod))
        if (!isBound(claim(parseKey(key)))) claimLoop.enqueue(key);
    },
  });
  volumeLoop.watch(volumes);
  volumeLoop.watch(claims, ({ spec }) => (spec?.volumeName ? [spec.volumeName] : []));
  claims.addHandler({
    onDelete: ({ spec }) => spec?.volumeName && volumeLoop.enqueue(spec.volumeName),
  });
  return [claimLoop, volumeLoop];
}

/** The claim that a volume names; for a free volume, all that may want it. */
function claimsAbout(
  { spec, metadata, status }: PersistentVolume,
  claims: Informer<PersistentVolumeClaim>,
): string[] {
  const { namespace, name } = spec?.claimRef ?? {};
  if (namespace && name) return [`${namespace}/${name}`];
  if (status?.phase !== 'Available') return [];
  return unboundClaims(claims, classOf({ metadata, spec }));
}

function unboundClaims(claims: Informer<PersistentVolumeClaim>, className: string): string[] {
  return claims
    .list()
    .filter((claim) => !isBound(claim) && ['', className].includes(classOf(claim)))
    .map(keyOf);
}

function isBound(claim: PersistentVolumeClaim | undefined): boolean {
  return claim?.metadata.annotations?.[BIND_COMPLETED] !== undefined;
}
