import { dns1123Subdomain, nameCheck } from '../../../api/names.ts';
import { CLUSTER_TRUST_BUNDLES } from '../../../api/system-resource-types.ts';
import type { ClusterTrustBundle } from '../../../api/types.ts';
import { column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateTrustBundle, validateTrustBundleUpdate } from './trust-bundle-validation.ts';

/** Certificates of authorities that Pods may believe; those that belong to a signer are named after it. */
export const clusterTrustBundleKind = defineKind<ClusterTrustBundle>({
  type: CLUSTER_TRUST_BUNDLES,
  strategy: {
    // `example.com:signer:name`: which part must be what depends on the signer, so the object is looked at as a whole.
    validateName: (name, prefix) =>
      nameCheck(dns1123Subdomain)(name.slice(name.lastIndexOf(':') + 1), prefix),
    validate: validateTrustBundle,
    validateUpdate: validateTrustBundleUpdate,
  },
  columns: [NAME_COLUMN, column('SignerName', 'Whose certificates are to be checked by these.')],
  row: ({ metadata, spec }) => [metadata.name, spec.signerName || '<none>'],
  fieldsOf: ({ spec }) => ({ 'spec.signerName': spec?.signerName ?? '' }),
});
