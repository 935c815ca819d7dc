import { createHash } from 'node:crypto';
import { isAlreadyExists } from '../../api/errors.ts';
import { CLUSTER_TRUST_BUNDLES } from '../../api/system-resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { unlessGone } from '../unless-gone.ts';

const SIGNER = 'kubernetes.io/kube-apiserver-serving';
const HASH_BYTES = 12;

/** The cluster's authority as a ClusterTrustBundle, for Pods to check the API server with (KEP-3257). Keys are its names. */
export function trustBundlePublisher(context: ControllerContext): readonly Runnable[] {
  const { client, informers, options } = context;
  const { rootCa } = options;
  if (rootCa === undefined) return []; // nothing to publish
  const bundles = informers.get(CLUSTER_TRUST_BUNDLES, {
    fieldSelector: `spec.signerName=${SIGNER}`,
  });
  const reconciler: Reconciler = {
    name: 'kube-apiserver-serving-clustertrustbundle-publisher-controller',
    async reconcile() {
      const trustBundle = rootCa.current();
      const name = bundleName(trustBundle);
      if (!bundles.get({ namespace: '', name })) await publish(name, trustBundle);
      // What is out of date goes last: there is always one to check by.
      for (const { metadata } of bundles.list()) {
        if (metadata.name === name) continue;
        await unlessGone(client.delete(CLUSTER_TRUST_BUNDLES, metadata));
      }
      return DONE;
    },
  };
  const publish = async (name: string, trustBundle: string) => {
    try {
      await client.create(CLUSTER_TRUST_BUNDLES, {
        apiVersion: 'certificates.k8s.io/v1beta1',
        kind: 'ClusterTrustBundle',
        metadata: { name },
        spec: { signerName: SIGNER, trustBundle },
      });
    } catch (err) {
      if (!isAlreadyExists(err)) throw err;
    }
  };
  const controller = newController(context, reconciler);
  const look = () => controller.enqueue(SIGNER);
  controller.watch(bundles, () => [SIGNER]);
  rootCa.onChange(look);
  look();
  return [controller];
}

/** The name says what is in it: other content is another bundle. Pure. */
export function bundleName(trustBundle: string): string {
  const hash = createHash('sha256').update(trustBundle).digest().subarray(0, HASH_BYTES);
  return `${SIGNER.replace('/', ':')}:${hash.toString('hex')}`;
}
