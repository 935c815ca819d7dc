import type { APIService } from '../../api/types.ts';
import { compareVersions, groupPriority, isBuiltinGroup } from '../api-groups.ts';
import type { ResourceKind } from '../resource-kind.ts';

/** Marks the APIServices that the server makes and removes itself. */
export const AUTO_LABEL = 'kube-aggregator.kubernetes.io/automanaged';

// Upstream's priorities of versions: what comes first in a group has the higher one.
const FIRST_PRIORITY = 15;
const CUSTOM_PRIORITY = 100;

/** The APIServices of what this server serves itself: one per group and version, by name. */
export function localApiServices(kinds: readonly ResourceKind[]): Map<string, APIService> {
  const versionsOf = new Map<string, Set<string>>();
  for (const { group, version } of kinds) {
    versionsOf.set(group, (versionsOf.get(group) ?? new Set()).add(version));
  }
  const made = new Map<string, APIService>();
  for (const [group, versions] of versionsOf) {
    const ordered = [...versions].sort(compareVersions).reverse();
    ordered.forEach((version, i) => {
      const service = localApiService(group, version, (i + 1) * FIRST_PRIORITY);
      made.set(service.metadata.name, service);
    });
  }
  return made;
}

function localApiService(group: string, version: string, priority: number): APIService {
  const isBuiltin = isBuiltinGroup(group);
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: {
      name: `${version}.${group}`,
      labels: { [AUTO_LABEL]: isBuiltin ? 'onstart' : 'true' },
    },
    spec: {
      ...(group === '' ? {} : { group }),
      version,
      groupPriorityMinimum: groupPriority(group),
      versionPriority: isBuiltin ? priority : CUSTOM_PRIORITY,
    },
  } as unknown as APIService;
}
