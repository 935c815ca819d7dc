import { readFile } from 'node:fs/promises';
import { isConflict, isNotFound } from '../../api/errors.ts';
import type { ObjectKey } from '../../api/resource-types.ts';
import { CERTIFICATE_SIGNING_REQUESTS } from '../../api/system-resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { errorMessage } from '../../util/errors.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import {
  API_CLIENT,
  type Csr,
  hasCondition,
  KUBELET_CLIENT,
  KUBELET_SERVING,
  LEGACY,
  pemOf,
  signerProblem,
} from './requests.ts';

const SIGNERS = new Set([API_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY]);
const MIN_MS = 10 * 60 * 1000;

/** Signs what was approved for a signer of this cluster, with the cluster's authority. Its files are read for each, so that a new authority counts at once. */
export function csrSigningController(context: ControllerContext): readonly Runnable[] {
  const { client, informers, clock, options } = context;
  const { clusterSigning } = options;
  if (!clusterSigning) return []; // nothing to sign with
  const requests = informers.get(CERTIFICATE_SIGNING_REQUESTS);
  const reconciler: Reconciler = {
    name: 'certificatesigningrequest-signing-controller',
    async reconcile({ name }: ObjectKey) {
      const csr = requests.get({ namespace: '', name });
      if (!csr || !waits(csr)) return DONE;
      const { readSigningRequest, signRequest } = await import('../../pki/csr.ts');
      const pem = pemOf(csr);
      const problem = signerProblem(csr, await readSigningRequest(pem));
      if (problem !== undefined) {
        await fail(csr, 'SignerValidationFailure', problem);
        return DONE;
      }
      const authority = {
        certificate: await readFile(clusterSigning.certificateFile, 'utf8'),
        key: await readFile(clusterSigning.keyFile, 'utf8'),
      };
      const now = clock.now();
      const asked = (csr.spec.expirationSeconds ?? Number.POSITIVE_INFINITY) * 1000;
      const life = Math.min(Math.max(asked, MIN_MS), clusterSigning.durationMs);
      const terms = { usages: csr.spec.usages ?? [], notAfter: new Date(now + life) };
      try {
        const certificate = await signRequest(authority, pem, terms, now);
        await setStatus(csr, { certificate: Buffer.from(certificate).toString('base64') });
      } catch (err) {
        if (!(err instanceof RangeError)) throw err;
        await fail(csr, 'SigningError', errorMessage(err));
      }
      return DONE;
    },
  };
  const fail = (csr: Csr, reason: string, message: string): Promise<void> => {
    const condition = { type: 'Failed', status: 'True', reason, message };
    return setStatus(csr, { conditions: [...(csr.status?.conditions ?? []), condition] });
  };
  const setStatus = async (csr: Csr, change: Csr['status']): Promise<void> => {
    try {
      await client.update(
        CERTIFICATE_SIGNING_REQUESTS,
        { ...csr, status: { ...csr.status, ...change } },
        { subresource: 'status' },
      );
    } catch (err) {
      if (!isConflict(err) && !isNotFound(err)) throw err;
    }
  };
  const controller = newController(context, reconciler);
  controller.watch(requests);
  return [controller];
}

function waits(csr: Csr): boolean {
  return (
    SIGNERS.has(csr.spec.signerName) &&
    hasCondition(csr, 'Approved') &&
    !hasCondition(csr, 'Denied') &&
    !hasCondition(csr, 'Failed') &&
    !csr.status?.certificate
  );
}
