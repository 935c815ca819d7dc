import { NETWORK_POLICIES } from '../../../api/resource-types.ts';
import type { NetworkPolicy } from '../../../api/types.ts';
import { age, formatSelector } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateNetworkPolicy } from './validation.ts';

export const networkPolicyKind = defineKind<NetworkPolicy>({
  type: NETWORK_POLICIES,
  shortNames: ['netpol'],
  strategy: {
    default({ spec }) {
      if (!spec) return;
      for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
        for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
      }
      if (spec.policyTypes?.length) return;
      spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
    },
    validate: validateNetworkPolicy,
    validateUpdate: validateNetworkPolicy,
    generationFields: ['spec'],
  },
  columns: [NAME_COLUMN, column('Pod-Selector', 'Labels of the Pods that it governs.'), AGE_COLUMN],
  row: ({ metadata, spec }, now) => [
    metadata.name,
    formatSelector(spec?.podSelector),
    age(metadata.creationTimestamp, now),
  ],
});
