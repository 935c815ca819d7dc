/** Upstream's order of the built-in groups: the higher, the earlier in discovery (kube-apiserver aggregator). */
const GROUP_PRIORITIES: ReadonlyMap<string, number> = new Map([
  ['apiregistration.k8s.io', 20000],
  ['', 18000],
  ['apps', 17800],
  ['events.k8s.io', 17750],
  ['authentication.k8s.io', 17700],
  ['authorization.k8s.io', 17600],
  ['autoscaling', 17500],
  ['batch', 17400],
  ['certificates.k8s.io', 17300],
  ['networking.k8s.io', 17200],
  ['policy', 17100],
  ['rbac.authorization.k8s.io', 17000],
  ['storage.k8s.io', 16800],
  ['apiextensions.k8s.io', 16700],
  ['admissionregistration.k8s.io', 16700],
  ['scheduling.k8s.io', 16600],
  ['coordination.k8s.io', 16500],
  ['node.k8s.io', 16300],
  ['discovery.k8s.io', 16200],
  ['resource.k8s.io', 16200],
  ['flowcontrol.apiserver.k8s.io', 16100],
  ['internal.apiserver.k8s.io', 16000],
  ['storagemigration.k8s.io', 15900],
]);

/** What groups of custom resources get. */
export const CUSTOM_GROUP_PRIORITY = 1000;

export function groupPriority(group: string): number {
  return GROUP_PRIORITIES.get(group) ?? CUSTOM_GROUP_PRIORITY;
}

export function isBuiltinGroup(group: string): boolean {
  return GROUP_PRIORITIES.has(group);
}

/**
 * Orders versions as kubectl prefers them: v2, v1, v1beta2, v1beta1, v1alpha1, then names of no such form
 * by the alphabet (apimachinery version.CompareKubeAwareVersionStrings, newest first).
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  if (left === undefined || right === undefined) {
    if (left === undefined && right === undefined) return compareText(a, b);
    return left === undefined ? 1 : -1;
  }
  return right.stage - left.stage || right.major - left.major || right.minor - left.minor;
}

const STAGES = { alpha: 1, beta: 2, stable: 3 } as const;

function parseVersion(
  version: string,
): { major: number; stage: number; minor: number } | undefined {
  const match = /^v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?$/.exec(version);
  if (!match) return undefined;
  const stage = STAGES[(match[2] ?? 'stable') as keyof typeof STAGES];
  return { major: Number(match[1]), stage, minor: Number(match[3] ?? 0) };
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
