import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import { NAMESPACES, type ObjectKey, SERVICE_ACCOUNTS } from '../../api/resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { isNamespaceTerminating } from '../pod-control.ts';

const DEFAULT = 'default';

/** Every namespace has a ServiceAccount `default`. Keys are namespaces. */
export function serviceAccountController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const namespaces = informers.get(NAMESPACES);
  const accounts = informers.get(SERVICE_ACCOUNTS);
  const reconciler: Reconciler = {
    name: 'service-account-controller',
    async reconcile({ name: namespace }: ObjectKey) {
      const found = namespaces.get({ namespace: '', name: namespace });
      if (!found || found.status?.phase === 'Terminating') return DONE;
      if (accounts.get({ namespace, name: DEFAULT })) return DONE;
      const metadata = { namespace, name: DEFAULT };
      try {
        await client.create(SERVICE_ACCOUNTS, {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata,
        });
      } catch (err) {
        const settled = isAlreadyExists(err) || isNotFound(err) || isNamespaceTerminating(err);
        if (!settled) throw err;
      }
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(namespaces);
  controller.needs(accounts);
  accounts.addHandler({
    onDelete: ({ metadata }) => {
      if (metadata.name === DEFAULT) controller.enqueue(metadata.namespace);
    },
  });
  return controller;
}
