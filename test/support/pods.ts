import { eventually } from './eventually.ts';
import { BUSYBOX_IMAGE } from './manifests.ts';
import type { TestNamespace } from './test-namespace.ts';

type Fields = Record<string, unknown>;

/** A container of busybox that runs a shell line. */
export function shell(name: string, script: string, fields: Fields = {}): Fields {
  return { name, image: BUSYBOX_IMAGE, command: ['sh', '-c', script], ...fields };
}

/** A Pod of the given containers that ends at once when it is deleted. */
export function podOf(
  name: string,
  containers: Fields[],
  spec: Fields = {},
  metadata = {},
): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: { terminationGracePeriodSeconds: 0, restartPolicy: 'Never', containers, ...spec },
  };
}

/** Waits until the Pod's phase is one of these, and answers the Pod. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into every field
export function inPhase(ns: TestNamespace, name: string, ...phases: string[]): Promise<any> {
  return eventually(`${name} is ${phases.join(' or ')}`, async () => {
    const pod = await ns.get('pod', name);
    return phases.includes(pod.status.phase) ? pod : undefined;
  });
}

/** Applies a Pod that ends by itself, and answers what its container printed. */
export async function outputOf(ns: TestNamespace, pod: Fields): Promise<string> {
  const { name } = pod.metadata as { name: string };
  await ns.apply(pod);
  await inPhase(ns, name, 'Succeeded', 'Failed');
  return ns.kubectl('logs', name);
}
