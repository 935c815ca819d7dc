import { isConflict, isNotFound } from '../../api/errors.ts';
import type { ObjectKey } from '../../api/resource-types.ts';
import {
  CERTIFICATE_SIGNING_REQUESTS,
  SUBJECT_ACCESS_REVIEWS,
} from '../../api/system-resource-types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { type Csr, hasCondition, KUBELET_CLIENT, kubeletClientProblem, pemOf } from './requests.ts';

/** Whose certificate it is, and which right lets the asker have it without a person looking. */
const RECOGNIZED = [
  {
    subresource: 'selfnodeclient',
    isSelf: true,
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  },
  {
    subresource: 'nodeclient',
    isSelf: false,
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
  },
] as const;

/** Approves client certificates of kubelets for those who may have them: new nodes, and nodes that renew their own. */
export function csrApprovingController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const requests = informers.get(CERTIFICATE_SIGNING_REQUESTS);
  const isAllowed = async ({ spec }: Csr, subresource: string): Promise<boolean> => {
    const { username: user = '', uid, groups, extra } = spec;
    const review = await client.create(SUBJECT_ACCESS_REVIEWS, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: {
        ...{ user, uid, groups, extra },
        resourceAttributes: {
          ...{ group: 'certificates.k8s.io', resource: 'certificatesigningrequests' },
          ...{ verb: 'create', version: '*', subresource },
        },
      },
    });
    return review.status?.allowed === true;
  };
  const reconciler: Reconciler = {
    name: 'certificatesigningrequest-approving-controller',
    async reconcile({ name }: ObjectKey) {
      const csr = requests.get({ namespace: '', name });
      if (!csr || csr.status?.certificate || csr.spec.signerName !== KUBELET_CLIENT) return DONE;
      if (hasCondition(csr, 'Approved') || hasCondition(csr, 'Denied')) return DONE;
      const { readSigningRequest } = await import('../../pki/csr.ts');
      const request = await readSigningRequest(pemOf(csr));
      if (kubeletClientProblem(request, csr.spec.usages ?? []) !== undefined) return DONE;
      const isOwn = csr.spec.username === request.commonName;
      const tried = RECOGNIZED.filter(({ isSelf }) => isOwn || !isSelf);
      for (const { subresource, message } of tried) {
        if (!(await isAllowed(csr, subresource))) continue;
        await approve(csr, message);
        return DONE;
      }
      // Rights may come later: asked again with back-off.
      const kinds = tried.map(({ subresource }) => subresource).join(' ');
      throw new Error(
        `Recognized ${name} as [${kinds}] but the subject access review was not approved`,
      );
    },
  };
  const approve = async (csr: Csr, message: string): Promise<void> => {
    const condition = { type: 'Approved', status: 'True', reason: 'AutoApproved', message };
    const conditions = [...(csr.status?.conditions ?? []), condition];
    try {
      await client.update(
        CERTIFICATE_SIGNING_REQUESTS,
        { ...csr, status: { ...csr.status, conditions } },
        { subresource: 'approval' },
      );
    } catch (err) {
      if (!isConflict(err) && !isNotFound(err)) throw err;
    }
  };
  const controller = newController(context, reconciler);
  controller.watch(requests);
  return controller;
}
