import { IP_ADDRESSES } from '../../../api/resource-types.ts';
import type { IPAddress } from '../../../api/types.ts';
import {
  ipAddressName,
  validateIpAddress,
  validateIpAddressUpdate,
} from '../cluster-validation.ts';
import { column, defineKind, NAME_COLUMN } from '../kind.ts';

function parentText({ spec }: IPAddress): string {
  const ref = spec?.parentRef;
  if (!ref) return '<none>';
  const resource = ref.group ? `${ref.resource}.${ref.group}` : ref.resource;
  return [resource.toLowerCase(), ref.namespace, ref.name].filter(Boolean).join('/');
}

export const ipAddressKind = defineKind<IPAddress>({
  type: IP_ADDRESSES,
  shortNames: ['ip'],
  strategy: {
    validateName: ipAddressName,
    validate: validateIpAddress,
    validateUpdate: validateIpAddressUpdate,
  },
  columns: [NAME_COLUMN, column('ParentRef', 'Object that uses the address.')],
  row: (address) => [address.metadata.name, parentText(address)],
  fieldsOf: ({ spec }) => ({
    'spec.parentRef.group': spec?.parentRef?.group ?? '',
    'spec.parentRef.name': spec?.parentRef?.name ?? '',
    'spec.parentRef.namespace': spec?.parentRef?.namespace ?? '',
    'spec.parentRef.resource': spec?.parentRef?.resource ?? '',
  }),
});
