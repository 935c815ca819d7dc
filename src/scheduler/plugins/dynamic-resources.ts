import type { PreFilterPlugin } from '../framework.ts';
import type { PodInfo } from '../pod-info.ts';
import { SKIP, unresolvable } from '../status.ts';

const REFUSED = unresolvable('dynamic resource allocation is not supported by this scheduler');

/** Keeps Pods with resource claims waiting, and says why: to place them without their devices would be worse. */
export const dynamicResources: PreFilterPlugin = {
  name: 'DynamicResources',
  wakeOn: [{ on: ['Pod/Update'] }],
  preFilter: (_state, pod) => (claims(pod) ? REFUSED : SKIP),
};

function claims({ pod }: PodInfo): boolean {
  return (pod.spec?.resourceClaims?.length ?? 0) > 0;
}
