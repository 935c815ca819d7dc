import { X509Certificate } from 'node:crypto';
import { selects } from '../../api/labels.ts';
import type { ClusterTrustBundle, Pod, Volume } from '../../api/types.ts';

/** Where trust bundles come from. */
export interface TrustReader {
  trustBundles(
    pod: Pod,
    chosen: { name: string } | { signerName: string },
  ): Promise<readonly ClusterTrustBundle[]>;
}

export type TrustSource = NonNullable<
  NonNullable<NonNullable<Volume['projected']>['sources']>[number]['clusterTrustBundle']
>;

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * The certificates of the bundle of a name, or of all of a signer's that the selector selects: each one once, without
 * anything written between them, in an order of its own that nobody may count on.
 */
export async function trustAnchors(
  pod: Pod,
  { name, signerName, labelSelector, optional }: TrustSource,
  reader: TrustReader,
): Promise<string> {
  const chosen = name ? { name } : { signerName: signerName ?? '' };
  const bundles = await reader.trustBundles(pod, chosen);
  // Without a selector a signer has nothing; an empty one selects everything.
  const found = name
    ? bundles
    : bundles.filter(({ metadata }) => labelSelector && selects(labelSelector, metadata.labels));
  if (found.length === 0 && !optional) {
    throw new Error(
      name
        ? `clustertrustbundle.certificates.k8s.io "${name}" not found`
        : 'combination of signerName and labelSelector matched zero ClusterTrustBundles',
    );
  }
  const anchors = found.flatMap(({ spec }) => spec.trustBundle.match(BLOCK) ?? []);
  return [...new Set(anchors.map((pem) => new X509Certificate(pem).toString()))].sort().join('');
}
