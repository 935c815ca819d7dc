import { INGRESSES } from '../../../api/resource-types.ts';
import type { Ingress } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { validateIngress } from './validation.ts';

const SHOWN = 3;

function hostsText({ spec }: Ingress): string {
  const hosts = (spec?.rules ?? []).map((rule) => rule.host || '*');
  if (hosts.length === 0) return '*';
  const shown = hosts.slice(0, SHOWN).join(',');
  return hosts.length > SHOWN ? `${shown} + ${hosts.length - SHOWN} more...` : shown;
}

function addressText({ status }: Ingress): string {
  return (status?.loadBalancer?.ingress ?? [])
    .map((i) => i.ip || i.hostname || '')
    .filter((text) => text !== '')
    .join(',');
}

export const ingressKind = defineKind<Ingress>({
  type: INGRESSES,
  shortNames: ['ing'],
  storagePrefix: 'ingress',
  ...withStatus<Ingress>({
    prepareForCreate(ingress) {
      ingress.status = { loadBalancer: {} };
    },
    validate: validateIngress,
    validateUpdate: validateIngress,
    generationFields: ['spec'],
  }),
  columns: [
    NAME_COLUMN,
    column('Class', 'Class of the controller that serves it.'),
    column('Hosts', 'Host names that it answers for.'),
    column('Address', 'Where it is reached.'),
    column('Ports', 'Ports that it listens on.'),
    AGE_COLUMN,
  ],
  row: (ingress, now) => [
    ingress.metadata.name,
    ingress.spec?.ingressClassName ?? '<none>',
    hostsText(ingress),
    addressText(ingress),
    ingress.spec?.tls?.length ? '80, 443' : '80',
    age(ingress.metadata.creationTimestamp, now),
  ],
});
