import {
  CERTIFICATE_SIGNING_REQUESTS,
  CLUSTER_TRUST_BUNDLES,
} from '../../api/system-resource-types.ts';
import type { CertificateSigningRequest, ClusterTrustBundle } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import { forbiddenByAdmission } from './plugin.ts';

type Csr = CertificateSigningRequest;

/** Who approves requests for a signer must hold `approve` on that signer. */
export function certificateApproval(authorizer: () => Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    async validate(request) {
      if (!isAboutRequests(request) || request.subresource !== 'approval') return;
      const { signerName } = (request.old as unknown as Csr).spec;
      if (await mayUseSigner(authorizer(), request, 'approve', signerName)) return;
      throw forbiddenByAdmission(
        request,
        `user not permitted to approve requests with signerName ${JSON.stringify(signerName)}`,
      );
    },
  };
}

/** Who fills in certificates must hold `sign` on the signer. */
export function certificateSigning(authorizer: () => Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    async validate(request) {
      if (!isAboutRequests(request) || request.subresource !== 'status') return;
      const [before, now] = [request.old as unknown as Csr, request.object as unknown as Csr];
      const same =
        before.status?.certificate === now.status?.certificate &&
        jsonEqual(before.status?.conditions, now.status?.conditions);
      if (same) return;
      const { signerName } = before.spec;
      if (await mayUseSigner(authorizer(), request, 'sign', signerName)) return;
      throw forbiddenByAdmission(
        request,
        `user not permitted to sign requests with signerName ${JSON.stringify(signerName)}`,
      );
    },
  };
}

/** Who says whom a signer's certificates are to be checked by must hold `attest` on the signer. */
export function clusterTrustBundleAttest(authorizer: () => Authorizer): AdmissionPlugin {
  return {
    name: 'ClusterTrustBundleAttest',
    async validate(request) {
      const { operation, kind } = request;
      const { group, resource } = CLUSTER_TRUST_BUNDLES;
      const isWritten = operation === 'CREATE' || operation === 'UPDATE';
      if (!isWritten || kind.group !== group || kind.resource !== resource) return;
      const { spec } = request.object as unknown as ClusterTrustBundle;
      const before = request.old as unknown as ClusterTrustBundle | undefined;
      if (!spec.signerName || jsonEqual(before?.spec, spec)) return;
      if (await mayUseSigner(authorizer(), request, 'attest', spec.signerName)) return;
      throw forbiddenByAdmission(
        request,
        `user not permitted to attest for signerName ${JSON.stringify(spec.signerName)}`,
      );
    },
  };
}

/** Nobody asks for a client certificate of the group that may do everything. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  async validate(request) {
    if (request.operation !== 'CREATE' || !isAboutRequests(request)) return;
    const { spec } = request.object as unknown as Csr;
    if (spec.signerName !== 'kubernetes.io/kube-apiserver-client') return;
    const { readSigningRequest } = await import('../../pki/csr.ts');
    const { organizations } = await readSigningRequest(
      Buffer.from(spec.request, 'base64').toString(),
    );
    if (!organizations.includes('system:masters')) return;
    throw forbiddenByAdmission(
      request,
      'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    );
  },
};

function isAboutRequests({ kind }: AdmissionRequest): boolean {
  const { group, resource } = CERTIFICATE_SIGNING_REQUESTS;
  return kind.group === group && kind.resource === resource;
}

/** Asks for the signer itself, then for all signers of its domain. */
async function mayUseSigner(
  authorizer: Authorizer,
  { user }: AdmissionRequest,
  verb: string,
  signer: string,
): Promise<boolean> {
  const domain = signer.slice(0, signer.indexOf('/'));
  for (const name of [signer, `${domain}/*`]) {
    const { decision } = await authorizer.authorize(user, {
      ...{ path: '', isResource: true, group: 'certificates.k8s.io', version: '*', namespace: '' },
      ...{ resource: 'signers', subresource: '', rest: '' },
      verb,
      name,
    });
    if (decision === 'allow') return true;
  }
  return false;
}
