import { isNotFound } from '../../api/errors.ts';
import type { ObjectKey } from '../../api/resource-types.ts';
import { CERTIFICATE_SIGNING_REQUESTS } from '../../api/system-resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { readCertificate } from '../../pki/certificate.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { type Csr, hasCondition } from './requests.ts';

const HOUR_MS = 60 * 60 * 1000;
const DECIDED_MS = HOUR_MS;
const PENDING_MS = 24 * HOUR_MS;

/** Takes requests away that nobody needs any more: decided an hour ago, undecided for a day, or of a lapsed certificate. */
export function csrCleanerController(context: ControllerContext): Runnable {
  const { client, informers, clock } = context;
  const requests = informers.get(CERTIFICATE_SIGNING_REQUESTS);
  const reconciler: Reconciler = {
    name: 'certificatesigningrequest-cleaner-controller',
    async reconcile({ name }: ObjectKey) {
      const csr = requests.get({ namespace: '', name });
      if (!csr) return DONE;
      const left = endOf(csr) - clock.now();
      if (left > 0) return { requeueAfterMs: left };
      const { uid } = csr.metadata;
      await client
        .delete(CERTIFICATE_SIGNING_REQUESTS, { namespace: '', name }, { preconditions: { uid } })
        .catch((err) => {
          if (!isNotFound(err)) throw err;
        });
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(requests);
  return controller;
}

/** When a request has served its purpose, in milliseconds since the epoch. Pure. */
export function endOf(csr: Csr): number {
  const { creationTimestamp = '' } = csr.metadata;
  const { certificate, conditions = [] } = csr.status ?? {};
  const ends = conditions
    .filter(({ type }) => ['Approved', 'Denied', 'Failed'].includes(type))
    .map((condition) => Date.parse(condition.lastUpdateTime ?? creationTimestamp) + DECIDED_MS);
  // Approved, and still to be signed: as long as undecided.
  const unsigned = hasCondition(csr, 'Approved') && !certificate && !hasCondition(csr, 'Failed');
  if (unsigned || ends.length === 0) return Date.parse(creationTimestamp) + PENDING_MS;
  return Math.min(...ends, certificate ? lapseOf(certificate) : Number.POSITIVE_INFINITY);
}

function lapseOf(certificate: string): number {
  try {
    return readCertificate(Buffer.from(certificate, 'base64').toString()).notAfter.getTime();
  } catch {
    return Number.POSITIVE_INFINITY; // another signer's form: the decision's age counts
  }
}
