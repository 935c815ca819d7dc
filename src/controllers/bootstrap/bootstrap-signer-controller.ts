import {
  bootstrapTokenOf,
  CLUSTER_INFO,
  isExpired,
  JWS_PREFIX,
  kubeconfigIn,
  TOKEN_NAMESPACE,
  TOKEN_SECRET_TYPE,
} from '../../api/bootstrap-tokens.ts';
import { CONFIG_MAPS, SECRETS } from '../../api/resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { signDetached } from '../../pki/detached-jws.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';

/** Signs the cluster information for every bootstrap token that may recognise the cluster by it. */
export function bootstrapSignerController(context: ControllerContext): Runnable {
  const { client, informers, clock } = context;
  const secrets = informers.get(SECRETS, {
    namespace: TOKEN_NAMESPACE,
    fieldSelector: `type=${TOKEN_SECRET_TYPE}`,
  });
  const infos = informers.get(CONFIG_MAPS, {
    namespace: CLUSTER_INFO.namespace,
    fieldSelector: `metadata.name=${CLUSTER_INFO.name}`,
  });
  const reconciler: Reconciler = {
    name: 'bootstrap-signer-controller',
    async reconcile() {
      const info = infos.get(CLUSTER_INFO);
      if (!info) return DONE;
      const now = clock.now();
      const tokens = secrets
        .list()
        .flatMap((secret) => bootstrapTokenOf(secret) ?? [])
        .filter((token) => token.signs && !isExpired(token, now));
      const kept = Object.entries(info.data ?? {}).filter(([key]) => !key.startsWith(JWS_PREFIX));
      const content = kubeconfigIn(info);
      const signatures = tokens.map((t) => [JWS_PREFIX + t.id, signDetached(content, t)] as const);
      const data = Object.fromEntries([...kept, ...signatures]);
      if (!jsonEqual(info.data, data)) await client.update(CONFIG_MAPS, { ...info, data });
      const ends = tokens.flatMap(({ expires }) => expires ?? []);
      return ends.length === 0 ? DONE : { requeueAfterMs: Math.min(...ends) - now };
    },
  };
  const controller = newController(context, reconciler);
  const one = () => [`${CLUSTER_INFO.namespace}/${CLUSTER_INFO.name}`];
  controller.watch(secrets, one);
  controller.watch(infos, one);
  return controller;
}
