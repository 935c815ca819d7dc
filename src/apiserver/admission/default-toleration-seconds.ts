import { PODS } from '../../api/resource-types.ts';
import type { Pod } from '../../api/types.ts';
import type { AdmissionPlugin } from '../admission.ts';
import { isAbout } from './plugin.ts';

const SECONDS = 300;
const TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

/** A Pod that does not say so itself stays for five minutes on a node that is unreachable or not ready. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  mutate(request) {
    const { operation, subresource, object } = request;
    // Who replaces the tolerations of a Pod need not know of these.
    const isWrite = operation === 'CREATE' || operation === 'UPDATE';
    if (!isWrite || subresource !== '' || !isAbout(request, PODS)) return;
    const { spec } = object as unknown as Pod;
    if (!spec) return;
    const tolerations = spec.tolerations ?? [];
    for (const key of TAINTS) {
      const known = tolerations.some(
        (t) => (!t.key || t.key === key) && (!t.effect || t.effect === 'NoExecute'),
      );
      if (known) continue;
      tolerations.push({
        key,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: SECONDS,
      });
    }
    spec.tolerations = tolerations;
  },
};
