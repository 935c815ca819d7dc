import { ApiError, conflict } from '../../api/errors.ts';
import { type FieldError, invalid, invalidObject, notSupported } from '../../api/field-errors.ts';
import type { ObjectKey } from '../../api/resource-types.ts';
import type { KubeObject, Pod } from '../../api/types.ts';
import type { BoundClaims } from '../../pki/service-account-tokens.ts';
import { timestamp } from '../before-write.ts';
import { readObjectAs } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import type { KindRegistry } from '../kind-registry.ts';
import { sendJson } from '../reading.ts';
import { admissionRequest } from '../resource-store.ts';
import { claimsFor, type TokenIssuer } from '../service-account-tokens.ts';
import { writeContext } from '../write-options.ts';

const TOKEN_REQUEST = {
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenRequest',
  definition: 'io.k8s.api.authentication.v1.TokenRequest',
};
const DEFAULT_SECONDS = 60 * 60;
const MIN_SECONDS = 10 * 60;
const MAX_SECONDS = 2 ** 32;

interface Spec {
  audiences?: string[];
  expirationSeconds?: number;
  boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string };
}

export type TokenDeps = HandlerDeps & {
  readonly kinds: KindRegistry;
  readonly tokens: TokenIssuer | undefined;
};

/** POST serviceaccounts/NAME/token: a token for the account, perhaps bound to the life of a Pod, Secret or Node. */
export async function requestToken(
  deps: TokenDeps,
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const { tokens: issuer, clock } = deps;
  if (!issuer) throw new ApiError('NotFound', 'this server signs no tokens');
  const request = await readObjectAs(deps, exchange, TOKEN_REQUEST);
  const { object: account } = await deps.store.read(target.kind, target);
  await deps.store.admission.admit(
    admissionRequest(target.kind, 'CREATE', {
      object: request,
      context: writeContext(exchange, { dryRun: false }, clock.now()),
      ...{ subresource: 'token', key: target },
    }),
  );
  const spec = (request.spec ?? {}) as Spec;
  const { expirationSeconds = DEFAULT_SECONDS } = spec;
  checkSeconds(expirationSeconds);
  const audiences = spec.audiences?.length ? spec.audiences : issuer.audiences;
  const { name, namespace } = target;
  const bound: BoundClaims = {
    namespace,
    serviceaccount: { name, uid: account.metadata.uid ?? '' },
    ...(await boundTo(deps, target, spec.boundObjectRef)),
  };
  const claims = claimsFor(issuer, { audiences, expirationSeconds, bound }, clock.now());
  const token = await issuer.signer.sign(claims);
  const answer = {
    ...request,
    metadata: { ...request.metadata, name, namespace, creationTimestamp: timestamp(clock.now()) },
    spec: { ...spec, audiences, expirationSeconds },
    status: { token, expirationTimestamp: timestamp((claims.exp ?? 0) * 1000) },
  };
  await sendJson(exchange, 201, Buffer.from(JSON.stringify(answer)), 'json');
}

function checkSeconds(seconds: number): void {
  const errors: FieldError[] = [];
  const field = 'spec.expirationSeconds';
  if (seconds < MIN_SECONDS) {
    errors.push(invalid(field, seconds, 'may not specify a duration less than 10 minutes'));
  }
  if (seconds > MAX_SECONDS) {
    errors.push(invalid(field, seconds, 'may not specify a duration larger than 2^32 seconds'));
  }
  if (errors.length > 0) throw invalidObject(TOKEN_REQUEST, '', errors);
}

async function boundTo(
  deps: TokenDeps,
  target: Target,
  ref: Spec['boundObjectRef'],
): Promise<Partial<BoundClaims>> {
  if (!ref) return {};
  const { kind = '', name = '' } = ref;
  const { namespace } = target;
  if (kind === 'Pod') {
    const pod = (await boundObject(deps, 'pods', { namespace, name }, ref.uid)) as unknown as Pod;
    if ((pod.spec?.serviceAccountName ?? '') !== target.name) {
      throw invalidObject(TOKEN_REQUEST, '', [
        invalid(
          'spec.boundObjectRef.name',
          name,
          `cannot bind token for serviceaccount ${JSON.stringify(target.name)} to pod running with different serviceaccount name.`,
        ),
      ]);
    }
    return { pod: { name, uid: pod.metadata.uid }, ...(await nodeOf(deps, pod)) };
  }
  if (kind === 'Secret') {
    const { metadata } = await boundObject(deps, 'secrets', { namespace, name }, ref.uid);
    return { secret: { name, uid: metadata.uid ?? '' } };
  }
  if (kind === 'Node') {
    const { metadata } = await boundObject(deps, 'nodes', { namespace: '', name }, ref.uid);
    return { node: { name, uid: metadata.uid ?? '' } };
  }
  throw invalidObject(TOKEN_REQUEST, '', [
    notSupported('spec.boundObjectRef.kind', kind, ['Pod', 'Secret', 'Node']),
  ]);
}

async function boundObject(
  { kinds, store }: TokenDeps,
  resource: string,
  key: ObjectKey,
  uid: string | undefined,
): Promise<KubeObject> {
  const kind = kinds.get('', 'v1', resource);
  if (!kind) throw new ApiError('NotFound', `${resource} are not served`);
  const { object } = await store.read(kind, key);
  if (uid && uid !== object.metadata.uid) {
    throw conflict(
      kind,
      key.name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  return object;
}

async function nodeOf({ kinds, store }: TokenDeps, pod: Pod): Promise<Partial<BoundClaims>> {
  const name = pod.spec?.nodeName;
  const kind = kinds.get('', 'v1', 'nodes');
  if (!name || !kind) return {};
  const node = await store.find(kind, { namespace: '', name });
  return { node: { name, uid: node?.metadata.uid } };
}
