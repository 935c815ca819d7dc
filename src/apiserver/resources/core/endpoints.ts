import { ENDPOINTS } from '../../../api/resource-types.ts';
import type { Endpoints } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateEndpoints } from './small-validation.ts';

const SHOWN = 3;

/** The first few `ip:port` pairs, and how many more there are (printers formatEndpoints). */
function endpointsText(endpoints: Endpoints): string {
  const pairs = (endpoints.subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map((a) => a.ip)
      : ports.flatMap((p) => addresses.map((a) => hostPort(a.ip, p.port))),
  );
  if (pairs.length === 0) return '<none>';
  const shown = pairs.slice(0, SHOWN).join(',');
  return pairs.length > SHOWN ? `${shown} + ${pairs.length - SHOWN} more...` : shown;
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

export const endpointsKind = defineKind<Endpoints>({
  type: ENDPOINTS,
  singular: 'endpoints',
  shortNames: ['ep'],
  storagePrefix: 'services/endpoints',
  strategy: {
    default(endpoints) {
      for (const subset of endpoints.subsets ?? []) {
        for (const port of subset.ports ?? []) port.protocol ??= 'TCP';
      }
    },
    validate: validateEndpoints,
    validateUpdate: validateEndpoints,
    allowCreateOnUpdate: true,
  },
  columns: [
    NAME_COLUMN,
    column('Endpoints', 'Addresses and ports behind the Service.'),
    AGE_COLUMN,
  ],
  row: (endpoints, now) => [
    endpoints.metadata.name,
    endpointsText(endpoints),
    age(endpoints.metadata.creationTimestamp, now),
  ],
});
