import { PODS } from '../../src/api/resource-types.ts';
import type { Pod } from '../../src/api/types.ts';
import type { Client } from '../../src/client/client.ts';
import { eventually } from '../../test/support/eventually.ts';

/** Creates Pods in the namespace `default` and answers them when all run. */
export async function runningPods(client: Client, pods: readonly object[]): Promise<Pod[]> {
  const namespace = 'default';
  for (const draft of pods as readonly Pod[]) {
    const { name } = draft.metadata;
    // A namespace takes Pods once its service account is there.
    await eventually(`${name} is taken`, () =>
      client.create(PODS, { ...draft, metadata: { name, namespace } }),
    );
  }
  return eventually(
    'all run',
    async () => {
      const { items } = await client.list(PODS, { namespace });
      const running = items.filter((pod) => pod.status?.containerStatuses?.[0]?.state?.running);
      return running.length === pods.length ? running : undefined;
    },
    60_000 + 2000 * pods.length,
  );
}
