import {
  bootstrapTokenOf,
  TOKEN_NAMESPACE,
  TOKEN_SECRET_TYPE,
} from '../../api/bootstrap-tokens.ts';
import { isNotFound } from '../../api/errors.ts';
import { type ObjectKey, SECRETS } from '../../api/resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';

/** Deletes bootstrap tokens when they expire. */
export function tokenCleanerController(context: ControllerContext): Runnable {
  const { client, informers, clock } = context;
  const secrets = informers.get(SECRETS, {
    namespace: TOKEN_NAMESPACE,
    fieldSelector: `type=${TOKEN_SECRET_TYPE}`,
  });
  const reconciler: Reconciler = {
    name: 'token-cleaner-controller',
    async reconcile(key: ObjectKey) {
      const secret = secrets.get(key);
      const expires = secret && bootstrapTokenOf(secret)?.expires;
      if (!secret || expires === undefined) return DONE;
      const left = expires - clock.now();
      if (left > 0) return { requeueAfterMs: left };
      const { uid } = secret.metadata;
      await client.delete(SECRETS, key, { preconditions: { uid } }).catch((err) => {
        if (!isNotFound(err)) throw err;
      });
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(secrets);
  return controller;
}
