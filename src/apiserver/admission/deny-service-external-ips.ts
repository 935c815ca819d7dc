import { SERVICES } from '../../api/resource-types.ts';
import type { Service } from '../../api/types.ts';
import type { AdmissionPlugin } from '../admission.ts';
import { forbiddenByAdmission, isAbout } from './plugin.ts';

/** No Service gets external addresses that it does not have already: they could be others' (CVE-2020-8554). */
export const denyServiceExternalIps: AdmissionPlugin = {
  name: 'DenyServiceExternalIPs',
  validate(request) {
    const { operation, object, old } = request;
    if ((operation !== 'CREATE' && operation !== 'UPDATE') || !isAbout(request, SERVICES)) return;
    const addresses = (service: unknown) =>
      (service as Service | undefined)?.spec?.externalIPs ?? [];
    const before = new Set(addresses(old));
    if (addresses(object).every((address) => before.has(address))) return;
    throw forbiddenByAdmission(request, 'Use of external IPs is denied by admission control');
  },
};
