import { ENDPOINT_SLICES } from '../api/resource-types.ts';
import type { EndpointSlice } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/informer.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';

const KUBERNETES = { namespace: 'default', labelSelector: 'kubernetes.io/service-name=kubernetes' };

/** The API servers that live, as the cluster says: `HOST:PORT`, in a fixed order. */
export async function apiServers(client: Client, signal?: AbortSignal): Promise<string[]> {
  return addressesOf((await client.list(ENDPOINT_SLICES, KUBERNETES, signal)).items);
}

/** The same, told again whenever it changes, until aborted. */
export async function followApiServers(
  client: Client,
  changed: (addresses: string[]) => void,
  { clock, log }: { clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const slices = createInformer(client, ENDPOINT_SLICES, KUBERNETES, { clock, log });
  const tell = () => changed(addressesOf(slices.list()));
  slices.addHandler({ onAdd: tell, onUpdate: tell, onDelete: tell });
  await slices.run(signal);
}

/** Pure. */
export function addressesOf(
  slices: readonly Pick<EndpointSlice, 'endpoints' | 'ports'>[],
): string[] {
  const all = slices.flatMap(({ endpoints = [], ports }) => {
    const port = ports?.find(({ name }) => name === 'https')?.port ?? ports?.[0]?.port;
    return endpoints.flatMap(({ addresses }) =>
      addresses.map((address) =>
        address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
      ),
    );
  });
  return [...new Set(all)].sort();
}
