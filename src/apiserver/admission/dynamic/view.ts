import { apiVersionOf } from '../../../api/resource-types.ts';
import type { Schema } from '../../../api/schema.ts';
import type { KubeObject } from '../../../api/types.ts';
import { cloneJson } from '../../../util/json.ts';
import type { AdmissionRequest } from '../../admission.ts';
import { decodeTyped, NOTHING_NOTED } from '../../decode-body.ts';
import type { ResourceKind } from '../../resource-kind.ts';

/** The objects of a request as another version of its kind shows them. Copies. */
export interface View {
  readonly object: KubeObject | undefined;
  readonly old: KubeObject | undefined;
}

export function viewAs(request: AdmissionRequest, kind: ResourceKind): View {
  return { object: shown(request, request.object, kind), old: shown(request, request.old, kind) };
}

function shown(
  request: AdmissionRequest,
  object: KubeObject | undefined,
  kind: ResourceKind,
): KubeObject | undefined {
  if (!object) return undefined;
  const copy = cloneJson(object);
  // Options, tokens and the like are what they are in every version.
  if (!isWhole(request, object)) return copy;
  return kind.storedAs ? kind.storedAs.fromStored(copy) : copy;
}

/** Whether the object of the request is one of its kind, and not what a sub-resource takes. */
function isWhole({ kind, subresource, operation }: AdmissionRequest, object: KubeObject): boolean {
  if (operation === 'CONNECT') return false;
  if (subresource === '' || object.kind === kind.kind) return true;
  return object.kind === undefined;
}

/** Makes `changed`, a version of the request's object, the object of the request: known fields only, and defaulted. */
export function takeBack(
  request: AdmissionRequest,
  changed: KubeObject,
  { kind, schema }: { kind: ResourceKind; schema: Schema },
): void {
  const { object } = request;
  if (!object) return;
  if (!isWhole(request, object)) {
    replace(object, changed);
    return;
  }
  const rules = { schema, kind, fieldValidation: 'Ignore' as const };
  const decoded = decodeTyped(cloneJson(changed) as never, NOTHING_NOTED, rules, []);
  replace(object, kind.storedAs ? kind.storedAs.toStored(decoded) : decoded);
}

/** Others hold the object of the request: it stays the same one. */
function replace(object: KubeObject, by: KubeObject): void {
  for (const key of Object.keys(object)) delete object[key];
  Object.assign(object, by);
}

const gvk = ({ group, version, kind }: { group: string; version: string; kind: string }) => ({
  group,
  version,
  kind,
});

/** admission.k8s.io AdmissionRequest without `uid`, `object` and `oldObject`. */
export function requestBody(
  request: AdmissionRequest,
  kind: ResourceKind,
): Record<string, unknown> {
  const { user, object, subresource } = request;
  const resourceOf = ({ group, version, resource }: ResourceKind) => ({ group, version, resource });
  const typeOf = (of: ResourceKind) => {
    if (!object || isWhole(request, object)) return gvk(of);
    const [version = '', group = ''] = (object.apiVersion ?? '').split('/').reverse();
    return { group, version, kind: object.kind ?? '' };
  };
  return {
    kind: typeOf(kind),
    resource: resourceOf(kind),
    ...(subresource === '' ? {} : { subResource: subresource }),
    requestKind: typeOf(request.kind),
    requestResource: resourceOf(request.kind),
    ...(subresource === '' ? {} : { requestSubResource: subresource }),
    name: request.name,
    ...(request.namespace === '' ? {} : { namespace: request.namespace }),
    operation: request.operation,
    userInfo: {
      username: user.name,
      ...(user.uid ? { uid: user.uid } : {}),
      groups: [...user.groups],
      ...(user.extra ? { extra: user.extra } : {}),
    },
    dryRun: request.dryRun,
    options: optionsOf(request),
  };
}

const OPTIONS: Readonly<Record<string, string | undefined>> = {
  CREATE: 'CreateOptions',
  UPDATE: 'UpdateOptions',
  DELETE: 'DeleteOptions',
};

function optionsOf({ operation, options }: AdmissionRequest): object | null {
  const kind = OPTIONS[operation];
  if (kind === undefined) return null;
  const apiVersion = apiVersionOf({ group: 'meta.k8s.io', version: 'v1' });
  return { kind, apiVersion, ...options };
}
