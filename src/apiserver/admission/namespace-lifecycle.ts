import { ApiError, notFound } from '../../api/errors.ts';
import type { Namespace } from '../../api/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { forbiddenByAdmission, type PluginDeps } from './plugin.ts';

const IMMORTAL = new Set(['default', 'kube-system', 'kube-public']);

/** Nothing comes to be in a namespace that is not there or is going; the system namespaces stay. */
export function namespaceLifecycle(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    async mutate(request) {
      if (request.operation === 'CREATE' || request.operation === 'UPDATE') {
        await check(deps, request);
      }
    },
    validate(request) {
      const { operation, kind, name } = request;
      if (operation !== 'DELETE' || kind.group !== '' || kind.resource !== 'namespaces') return;
      if (IMMORTAL.has(name)) {
        throw forbiddenByAdmission(request, 'this namespace may not be deleted');
      }
    },
  };
}

async function check({ store, kinds }: PluginDeps, request: AdmissionRequest): Promise<void> {
  const { namespace: name, operation } = request;
  const kind = kinds.get('', 'v1', 'namespaces');
  if (name === '' || !kind || !request.kind.namespaced) return;
  const key = { namespace: '', name };
  const found = await store().find(kind, key);
  if (!found) throw notFound(kind, name);
  const { status, metadata } = found as unknown as Namespace;
  const going = status?.phase === 'Terminating' || metadata.deletionTimestamp !== undefined;
  if (!going || operation !== 'CREATE') return;
  const refused = forbiddenByAdmission(
    request,
    `unable to create new content in namespace ${name} because it is being terminated`,
  );
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${name} is being terminated`,
    field: 'metadata.namespace',
  };
  throw new ApiError('Forbidden', refused.message, {
    details: { ...refused.details, causes: [cause] },
  });
}
