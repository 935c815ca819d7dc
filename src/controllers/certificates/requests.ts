import type { CertificateSigningRequest } from '../../api/types.ts';
import type { SigningRequest } from '../../pki/csr.ts';

export type Csr = CertificateSigningRequest;

export const KUBELET_CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';
export const KUBELET_SERVING = 'kubernetes.io/kubelet-serving';
export const API_CLIENT = 'kubernetes.io/kube-apiserver-client';
export const LEGACY = 'kubernetes.io/legacy-unknown';

const NODE_USER = 'system:node:';
const NODES_GROUP = 'system:nodes';

export function hasCondition({ status }: Csr, type: string): boolean {
  return (status?.conditions ?? []).some((condition) => condition.type === type);
}

/** The request's PEM. */
export function pemOf({ spec }: Csr): string {
  return Buffer.from(spec.request, 'base64').toString('utf8');
}

/** Why a request is no kubelet's client certificate; undefined when it is one (upstream's ValidateKubeletClientCSR). */
export function kubeletClientProblem(
  request: SigningRequest,
  usages: readonly string[],
): string | undefined {
  const { dnsNames, ipAddresses } = request;
  if (dnsNames.length > 0) return 'DNS subjectAltNames are not allowed';
  if (ipAddresses.length > 0) return 'IP subjectAltNames are not allowed';
  return nodeProblem(request) ?? usageProblem(usages, 'client auth');
}

/** The same for the certificate that a kubelet serves with (ValidateKubeletServingCSR). */
export function kubeletServingProblem(
  request: SigningRequest,
  usages: readonly string[],
): string | undefined {
  const { dnsNames, ipAddresses } = request;
  if (dnsNames.length === 0 && ipAddresses.length === 0) {
    return 'DNS or IP subjectAltName is required';
  }
  return nodeProblem(request) ?? usageProblem(usages, 'server auth');
}

function nodeProblem(request: SigningRequest): string | undefined {
  const { organizations, commonName, emailAddresses, uris } = request;
  if (organizations.length !== 1 || organizations[0] !== NODES_GROUP) {
    return 'subject organization is not system:nodes';
  }
  if (!commonName.startsWith(NODE_USER))
    return 'subject common name does not begin with system:node:';
  if (emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (uris.length > 0) return 'URI subjectAltNames are not allowed';
  return undefined;
}

function usageProblem(usages: readonly string[], wanted: string): string | undefined {
  const rest = new Set(usages);
  // Keys that are not RSA encipher nothing.
  rest.delete('key encipherment');
  const fits = rest.size === 2 && rest.has('digital signature') && rest.has(wanted);
  return fits ? undefined : `usages did not match [digital signature key encipherment ${wanted}]`;
}

const API_CLIENT_USAGES = ['client auth', 'digital signature', 'key encipherment'];

/** Why a signer of this cluster does not sign a request; undefined when it does. */
export function signerProblem(csr: Csr, request: SigningRequest): string | undefined {
  const { signerName, usages = [] } = csr.spec;
  switch (signerName) {
    case KUBELET_CLIENT:
      return kubeletClientProblem(request, usages);
    case KUBELET_SERVING:
      return kubeletServingProblem(request, usages);
    case API_CLIENT: {
      const fits =
        usages.includes('client auth') && usages.every((one) => API_CLIENT_USAGES.includes(one));
      return fits
        ? undefined
        : 'usages did not match [client auth digital signature key encipherment]';
    }
    default:
      return undefined;
  }
}
