import { type ObjectKey, SECRETS, SERVICE_ACCOUNTS } from '../../api/resource-types.ts';
import type { Secret, ServiceAccount } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { keyOf } from '../../client/indexer.ts';
import { legacyClaims } from '../../pki/service-account-tokens.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { unlessGone } from '../unless-gone.ts';

const TYPE = 'kubernetes.io/service-account-token';
const NAME = 'kubernetes.io/service-account.name';
const UID = 'kubernetes.io/service-account.uid';

/** Fills Secrets of the type service-account-token, and deletes them with their accounts. Keys are Secrets. */
export function serviceAccountTokenController(context: ControllerContext): Runnable {
  const { client, informers, options } = context;
  const accounts = informers.get(SERVICE_ACCOUNTS);
  const secrets = informers.get(SECRETS, { fieldSelector: `type=${TYPE}` });
  const sign = options.signServiceAccountToken;
  const reconciler: Reconciler = {
    name: 'serviceaccount-token-controller',
    async reconcile(key: ObjectKey) {
      const secret = secrets.get(key);
      if (!secret || secret.metadata.deletionTimestamp || !sign) return DONE;
      const account = await accountOf(context, accounts, secret);
      if (!account) {
        const { uid, resourceVersion } = secret.metadata;
        // The revision: the Secret may just have been pointed at another account.
        await unlessGone(client.delete(SECRETS, key, { preconditions: { uid, resourceVersion } }));
        return DONE;
      }
      const wanted = await filled(secret, account, { sign, rootCa: options.rootCa?.current() });
      if (wanted) await unlessGone(client.update(SECRETS, wanted));
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(secrets);
  controller.needs(accounts);
  const look = ({ metadata }: ServiceAccount) => {
    for (const secret of secrets.list(metadata.namespace)) {
      if (secret.metadata.annotations?.[NAME] === metadata.name) controller.enqueue(keyOf(secret));
    }
  };
  accounts.addHandler({ onAdd: look, onDelete: look });
  options.rootCa?.onChange(() => {
    for (const secret of secrets.list()) controller.enqueue(keyOf(secret));
  });
  return controller;
}

/** The account that a Secret names; undefined when it is gone, or another one of that name. */
async function accountOf(
  { client }: ControllerContext,
  accounts: Informer<ServiceAccount>,
  { metadata }: Secret,
): Promise<ServiceAccount | undefined> {
  const key = { namespace: metadata.namespace, name: metadata.annotations?.[NAME] ?? '' };
  if (key.name === '') return undefined;
  const uid = metadata.annotations?.[UID];
  // A cache may not know an account that has just been made.
  const account = accounts.get(key) ?? (await unlessGone(client.get(SERVICE_ACCOUNTS, key)));
  return account && (!uid || uid === account.metadata.uid) ? account : undefined;
}

/** The Secret with everything in it that a Pod needs; undefined when nothing is missing. */
async function filled(
  secret: Secret,
  account: ServiceAccount,
  { sign, rootCa }: { sign: (claims: object) => Promise<string>; rootCa: string | undefined },
): Promise<Secret | undefined> {
  const { namespace, name } = secret.metadata;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const data = { ...secret.data };
  const claims = legacyClaims({ namespace, secret: name, account: account.metadata });
  if (!data.token) data.token = base64(await sign(claims));
  if (rootCa !== undefined) data['ca.crt'] = base64(rootCa);
  data.namespace = base64(namespace);
  const annotations = { ...secret.metadata.annotations, [UID]: account.metadata.uid };
  const names = Object.keys(data);
  const same =
    names.every((one) => data[one] === secret.data?.[one]) &&
    secret.metadata.annotations?.[UID] === account.metadata.uid;
  return same ? undefined : { ...secret, data, metadata: { ...secret.metadata, annotations } };
}
