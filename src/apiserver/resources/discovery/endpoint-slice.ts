import { ENDPOINT_SLICES } from '../../../api/resource-types.ts';
import type { EndpointSlice } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { immutable } from '../validation.ts';
import { validateEndpointSlice } from './endpoint-slice-validation.ts';

const SHOWN = 3;

function listText(parts: readonly string[]): string {
  if (parts.length === 0) return '<unset>';
  const shown = parts.slice(0, SHOWN).join(',');
  return parts.length > SHOWN ? `${shown} + ${parts.length - SHOWN} more...` : shown;
}

function portText(port: NonNullable<EndpointSlice['ports']>[number]): string {
  if (port.port === undefined) return port.name || '*';
  return String(port.port);
}

export const endpointSliceKind = defineKind<EndpointSlice>({
  type: ENDPOINT_SLICES,
  strategy: {
    default(slice) {
      for (const port of slice.ports ?? []) {
        port.name ??= '';
        port.protocol ??= 'TCP';
      }
    },
    validate: validateEndpointSlice,
    validateUpdate: (slice, old) => [
      ...validateEndpointSlice(slice),
      ...immutable(slice.addressType, old.addressType, 'addressType'),
    ],
    generationFields: ['addressType', 'endpoints', 'ports'],
  },
  columns: [
    NAME_COLUMN,
    column('AddressType', 'IPv4, IPv6 or FQDN.'),
    column('Ports', 'Ports of all its endpoints.'),
    column('Endpoints', 'Addresses of its endpoints.'),
    AGE_COLUMN,
  ],
  row: (slice, now) => [
    slice.metadata.name,
    slice.addressType,
    listText((slice.ports ?? []).map(portText)),
    listText((slice.endpoints ?? []).flatMap((e) => e.addresses)),
    age(slice.metadata.creationTimestamp, now),
  ],
});
