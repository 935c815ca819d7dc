import { CONFIG_MAPS, PODS, SECRETS, SERVICE_ACCOUNTS } from '../../api/resource-types.ts';
import type { Pod, Secret, ServiceAccount } from '../../api/types.ts';
import type { Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { unlessGone } from '../unless-gone.ts';

const TYPE = 'kubernetes.io/service-account-token';
const ACCOUNT = 'kubernetes.io/service-account.name';
const LAST_USED = 'kubernetes.io/legacy-token-last-used';
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';
const TRACKING = {
  namespace: 'kube-system',
  name: 'kube-apiserver-legacy-service-account-token-tracking',
};
const EVERYTHING = 'secrets';
const DAY_MS = 24 * 3_600_000;

/**
 * Tokens that were made automatically, and that nobody has used for the clean-up period, are first declared invalid and
 * a period later deleted (KEP-2799). Looks once a day: dates have no finer grain.
 */
export function legacyTokenCleaner(context: ControllerContext): Runnable {
  const { client, clock, informers, options } = context;
  const secrets = informers.get(SECRETS, { fieldSelector: `type=${TYPE}` });
  const accounts = informers.get(SERVICE_ACCOUNTS);
  const pods = informers.get(PODS);
  const reconciler: Reconciler = {
    name: 'legacy-serviceaccount-token-cleaner-controller',
    async reconcile() {
      const again = { requeueAfterMs: DAY_MS };
      const tracking = await unlessGone(client.get(CONFIG_MAPS, TRACKING));
      const since = Date.parse(tracking?.data?.since ?? '');
      const limit = clock.now() - options.legacyTokenCleanUpPeriodMs;
      // Use must have been recorded for a whole period before its absence means anything.
      if (!(since < limit)) return again;
      for (const secret of secrets.list()) {
        const { namespace } = secret.metadata;
        const account = accounts.get({
          namespace,
          name: secret.metadata.annotations?.[ACCOUNT] ?? '',
        });
        const used = pods.list(namespace).some((pod) => mounts(pod, secret));
        if (!account || used) continue;
        const step = nextStep(secret, account, limit);
        if (step) await apply(context, secret, step);
      }
      return again;
    },
  };
  const controller = newController(context, reconciler);
  for (const informer of [secrets, accounts, pods]) controller.needs(informer);
  controller.enqueue(EVERYTHING);
  return controller;
}

/** What is to be done about a token that no Pod mounts. `limit`: milliseconds, what is older has lapsed. Pure. */
export function nextStep(
  { metadata }: Secret,
  account: ServiceAccount,
  limit: number,
): 'invalidate' | 'delete' | 'revive' | undefined {
  if (!account.secrets?.some(({ name }) => name === metadata.name)) return undefined;
  const lastUsed = Date.parse(metadata.labels?.[LAST_USED] ?? metadata.creationTimestamp);
  const since = metadata.labels?.[INVALID_SINCE];
  if (lastUsed >= limit) return since === undefined ? undefined : 'revive';
  if (Date.parse(metadata.creationTimestamp) >= limit) return undefined;
  if (since === undefined || Number.isNaN(Date.parse(since))) return 'invalidate';
  return Date.parse(since) < limit ? 'delete' : undefined;
}

async function apply(
  { client, clock }: ControllerContext,
  { metadata }: Secret,
  step: NonNullable<ReturnType<typeof nextStep>>,
): Promise<void> {
  const { namespace, name, uid, resourceVersion } = metadata;
  const key = { namespace, name };
  if (step === 'delete') {
    await unlessGone(client.delete(SECRETS, key, { preconditions: { uid, resourceVersion } }));
    return;
  }
  const today = new Date(clock.now()).toISOString().slice(0, 10);
  const labels = { [INVALID_SINCE]: step === 'revive' ? null : today };
  const body = { metadata: { uid, resourceVersion, labels } };
  await unlessGone(client.patch(SECRETS, key, { type: 'merge', body }));
}

function mounts({ spec }: Pod, { metadata }: Secret): boolean {
  return (spec?.volumes ?? []).some(({ secret }) => secret?.secretName === metadata.name);
}
