import { isAlreadyExists } from '../api/errors.ts';
import type { Clock } from '../util/clock.ts';
import type { KindRegistry } from './kind-registry.ts';
import type { ResourceStore } from './resource-store.ts';

const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const LOOPBACK_USER = { name: 'system:apiserver', groups: ['system:masters'] };

/** Creates what every cluster has from its first moment: the system namespaces. */
export async function ensureSystemObjects(deps: {
  kinds: KindRegistry;
  store: ResourceStore;
  clock: Clock;
}): Promise<void> {
  const kind = deps.kinds.get('', 'v1', 'namespaces');
  if (!kind) return;
  const context = {
    user: LOOPBACK_USER,
    dryRun: false,
    now: deps.clock.now(),
    warn: () => {},
  };
  for (const name of SYSTEM_NAMESPACES) {
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    kind.strategy.default?.(object);
    await deps.store.create(kind, object, context).catch((err) => {
      if (!isAlreadyExists(err)) throw err;
    });
  }
}
