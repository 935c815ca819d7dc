import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import { CONFIG_MAPS, NAMESPACES, type ObjectKey } from '../../api/resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { isNamespaceTerminating } from '../pod-control.ts';

const NAME = 'kube-root-ca.crt';
const DESCRIPTION = {
  'kubernetes.io/description':
    'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
};

/** Every namespace has the cluster's authority in a ConfigMap, for Pods to check the API server with. Keys are namespaces. */
export function rootCaPublisher(context: ControllerContext): readonly Runnable[] {
  const { client, informers, options } = context;
  const { rootCa } = options;
  if (rootCa === undefined) return []; // nothing to publish
  const namespaces = informers.get(NAMESPACES);
  const maps = informers.get(CONFIG_MAPS, { fieldSelector: `metadata.name=${NAME}` });
  const reconciler: Reconciler = {
    name: 'root-ca-certificate-publisher',
    async reconcile({ name: namespace }: ObjectKey) {
      const found = namespaces.get({ namespace: '', name: namespace });
      if (!found || found.status?.phase === 'Terminating') return DONE;
      const data = { 'ca.crt': rootCa.current() };
      const current = maps.get({ namespace, name: NAME });
      const annotations = { ...current?.metadata.annotations, ...DESCRIPTION };
      const same =
        jsonEqual(current?.data, data) && jsonEqual(current?.metadata.annotations, annotations);
      if (same) return DONE;
      try {
        if (current) {
          const metadata = { ...current.metadata, annotations };
          await client.update(CONFIG_MAPS, { ...current, metadata, data });
        } else {
          const metadata = { namespace, name: NAME, annotations };
          await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
        }
      } catch (err) {
        const settled = isAlreadyExists(err) || isNotFound(err) || isNamespaceTerminating(err);
        if (!settled) throw err;
      }
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(namespaces);
  controller.watch(maps, ({ metadata }) => [metadata.namespace]);
  rootCa.onChange(() => {
    for (const { metadata } of namespaces.list()) controller.enqueue(metadata.name);
  });
  return [controller];
}
