import type { Pod } from '../api/types.ts';

/** The claim that the ephemeral volume of a Pod becomes (component-helpers storage/ephemeral). */
export function ephemeralClaimName(pod: Pod, volume: string): string {
  return `${pod.metadata.name}-${volume}`;
}

/** The names of the claims that a Pod uses, those of its ephemeral volumes too. */
export function claimNamesOf(pod: Pod): string[] {
  return (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [persistentVolumeClaim.claimName];
    return ephemeral ? [ephemeralClaimName(pod, name)] : [];
  });
}

/** `NAMESPACE/CLAIM` of each claim that a Pod uses: for an index. */
export function claimKeysOf(pod: Pod): string[] {
  return claimNamesOf(pod).map((name) => `${pod.metadata.namespace}/${name}`);
}
