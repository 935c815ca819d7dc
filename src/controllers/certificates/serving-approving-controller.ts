import { isConflict, isNotFound } from '../../api/errors.ts';
import { NODES, type ObjectKey } from '../../api/resource-types.ts';
import { CERTIFICATE_SIGNING_REQUESTS } from '../../api/system-resource-types.ts';
import type { Node } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import type { SigningRequest } from '../../pki/csr.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import {
  type Csr,
  hasCondition,
  KUBELET_SERVING,
  kubeletServingProblem,
  pemOf,
} from './requests.ts';

const MESSAGE = 'The names are those of the Node, and the node itself asks.';

/**
 * Approves what kubelets serve with, where the node asks for itself and for nothing but the names and addresses of its
 * Node object. Upstream leaves this to an approver of the cluster's choice, so it is off unless asked for by name.
 */
export function kubeletServingApprovingController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const requests = informers.get(CERTIFICATE_SIGNING_REQUESTS);
  const nodes = informers.get(NODES);
  const reconciler: Reconciler = {
    name: 'kubelet-serving-approving-controller',
    async reconcile({ name }: ObjectKey) {
      const csr = requests.get({ namespace: '', name });
      if (!csr || csr.status?.certificate || csr.spec.signerName !== KUBELET_SERVING) return DONE;
      if (hasCondition(csr, 'Approved') || hasCondition(csr, 'Denied')) return DONE;
      const { readSigningRequest } = await import('../../pki/csr.ts');
      const request = await readSigningRequest(pemOf(csr));
      const node = nodes.get({
        namespace: '',
        name: request.commonName.replace(/^system:node:/, ''),
      });
      const problem = servingProblem(csr, request, node);
      // Addresses may be reported later: asked again with back-off.
      if (problem !== undefined) throw new Error(`${name} is not approved: ${problem}`);
      const condition = {
        type: 'Approved',
        status: 'True',
        reason: 'AutoApproved',
        message: MESSAGE,
      };
      const conditions = [...(csr.status?.conditions ?? []), condition];
      try {
        const approved = { ...csr, status: { ...csr.status, conditions } };
        await client.update(CERTIFICATE_SIGNING_REQUESTS, approved, { subresource: 'approval' });
      } catch (err) {
        if (!isConflict(err) && !isNotFound(err)) throw err;
      }
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(requests);
  return controller;
}

/** Why a request is not obviously a kubelet's own; undefined when it is. Pure. */
export function servingProblem(
  csr: Pick<Csr, 'spec'>,
  request: SigningRequest,
  node: Node | undefined,
): string | undefined {
  const malformed = kubeletServingProblem(request, csr.spec.usages ?? []);
  if (malformed !== undefined) return malformed;
  if (csr.spec.username !== request.commonName) {
    return `${csr.spec.username} asks for a certificate of ${request.commonName}`;
  }
  if (node === undefined) return `there is no Node for ${request.commonName}`;
  const own = new Set([
    node.metadata.name,
    '127.0.0.1',
    ...(node.status?.addresses ?? []).map(({ address }) => address),
  ]);
  const foreign = [...request.dnsNames, ...request.ipAddresses].find((name) => !own.has(name));
  return foreign === undefined ? undefined : `${foreign} is no name or address of the Node`;
}
