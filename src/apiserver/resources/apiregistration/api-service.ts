import { nameCheck, pathSegmentName } from '../../../api/names.ts';
import { API_SERVICES } from '../../../api/system-resource-types.ts';
import type { APIService } from '../../../api/types.ts';
import { LOCAL, withAvailability } from '../../aggregation/availability.ts';
import { timestamp } from '../../before-write.ts';
import { age } from '../cells.ts';
import { validateApiService } from '../cluster-validation.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';

function serviceText({ spec }: APIService): string {
  return spec?.service ? `${spec.service.namespace ?? ''}/${spec.service.name ?? ''}` : 'Local';
}

function availableText({ status }: APIService): string {
  const available = status?.conditions?.find((c) => c.type === 'Available');
  if (!available) return 'Unknown';
  if (available.status === 'True') return 'True';
  return `${available.status} (${available.reason ?? ''})`;
}

export const apiServiceKind = defineKind<APIService>({
  type: API_SERVICES,
  package: 'io.k8s.kube-aggregator.pkg.apis.apiregistration',
  categories: ['api-extensions'],
  storagePrefix: 'apiregistration.k8s.io/apiservices',
  ...withStatus<APIService>({
    statusAlone: true,
    validateName: nameCheck(pathSegmentName),
    validate: validateApiService,
    validateUpdate: validateApiService,
    prepareForCreate(service, { now }) {
      const isLocal = service.spec?.service === undefined;
      service.status = isLocal ? withAvailability(undefined, LOCAL, timestamp(now)) : {};
    },
    default({ spec }) {
      if (spec?.service) spec.service.port ??= 443;
    },
  }),
  columns: [
    NAME_COLUMN,
    column('Service', 'Service that answers for it; Local for this server.'),
    column('Available', 'Whether it can be reached.'),
    AGE_COLUMN,
  ],
  row: (service, now) => [
    service.metadata.name,
    serviceText(service),
    availableText(service),
    age(service.metadata.creationTimestamp, now),
  ],
});
