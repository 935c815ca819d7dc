import { isNotFound } from '../../api/errors.ts';
import type { APIService, Service } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import type { ServiceResolver } from '../service-resolver.ts';
import type { RemoteService } from './remote-service.ts';

export interface Availability {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** What this server answers for itself. */
export const LOCAL: Availability = {
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
};

/** Whether an aggregated server can be reached and answers (kube-aggregator status/available_controller). */
export async function availabilityOf(
  remote: RemoteService,
  resolver: ServiceResolver,
): Promise<Availability> {
  const missing = await missingPart(remote, resolver);
  if (missing) return { status: 'False', ...missing };
  try {
    await remote.discover();
    return { status: 'True', reason: 'Passed', message: 'all checks passed' };
  } catch (err) {
    const where = await remote.origin().catch(() => 'https://');
    const message = `failing or missing response from ${where}${remote.path}: ${errorMessage(err)}`;
    return { status: 'False', reason: 'FailedDiscoveryCheck', message };
  }
}

async function missingPart(
  { spec }: RemoteService,
  resolver: ServiceResolver,
): Promise<{ reason: string; message: string } | undefined> {
  const { namespace = '', name = '', port = 443 } = spec.service ?? {};
  const which = `service/${name} in ${JSON.stringify(namespace)}`;
  let service: Service;
  try {
    service = await resolver.service({ namespace, name });
  } catch (err) {
    if (!isNotFound(err)) throw err;
    return { reason: 'ServiceNotFound', message: `${which} is not present` };
  }
  if (service.spec?.type === 'ExternalName') return undefined;
  const wanted = service.spec?.ports?.find((one) => one.port === port);
  if (!wanted) {
    return { reason: 'ServicePortError', message: `${which} is not listening on port ${port}` };
  }
  const slices = await resolver.slices({ namespace, name });
  if (slices.length === 0) {
    return { reason: 'EndpointsNotFound', message: `cannot find endpointslices for ${which}` };
  }
  const isServed = slices.some(
    ({ ports, endpoints }) =>
      ports?.some((one) => (one.name ?? '') === (wanted.name ?? '')) &&
      endpoints?.some(({ conditions }) => conditions?.ready !== false),
  );
  if (isServed) return undefined;
  const portName = JSON.stringify(wanted.name ?? '');
  return {
    reason: 'MissingEndpoints',
    message: `endpoints for ${which} have no addresses with port name ${portName}`,
  };
}

/** The status with its Available condition set; the time changes only with the state. */
export function withAvailability(
  status: APIService['status'],
  { status: state, reason, message }: Availability,
  now: string,
): NonNullable<APIService['status']> {
  const conditions = status?.conditions ?? [];
  const before = conditions.find(({ type }) => type === 'Available');
  const lastTransitionTime =
    before?.status === state && before.lastTransitionTime ? before.lastTransitionTime : now;
  const next = { type: 'Available', status: state, lastTransitionTime, reason, message };
  return { ...status, conditions: [...conditions.filter((c) => c !== before), next] };
}
