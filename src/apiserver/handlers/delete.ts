import { badRequest } from '../../api/errors.ts';
import { invalid, invalidObject, notSupported } from '../../api/field-errors.ts';
import { apiVersionOf } from '../../api/resource-types.ts';
import type { KubeObject } from '../../api/types.ts';
import { isWhole } from '../../util/exact-json.ts';
import { isObject } from '../../util/json.ts';
import { readData } from '../decode-body.ts';
import type { DeleteOptions } from '../deletion.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { sendJson, sendObject, shapeOf } from '../reading.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { parseDryRun, writeContext } from '../write-options.ts';

/** DELETE …/RESOURCE/NAME */
export async function remove(deps: HandlerDeps, exchange: Exchange, target: Target): Promise<void> {
  const { kind } = target;
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  const options = await readDeleteOptions(exchange);
  const context = writeContext(exchange, options, now);
  const { gone, object } = await deps.store.delete(kind, target, options, context);
  const accepted = !gone && options.orphanDependents === false;
  const code = accepted ? 202 : 200;
  if (!gone || returnsDeleted(kind)) {
    await sendObject(exchange, code, shape, Buffer.from(JSON.stringify(object)));
    return;
  }
  const status = Buffer.from(JSON.stringify(success(kind, object)));
  await sendJson(exchange, code, status, shape.representation.format);
}

/** Kinds whose delete answers with the object (upstream's ReturnDeletedObject). */
const RETURN_DELETED = new Set([
  'v1/Pod',
  'v1/Service',
  'v1/ServiceAccount',
  'v1/PodTemplate',
  'v1/ResourceQuota',
  'v1/PersistentVolume',
  'v1/PersistentVolumeClaim',
]);

function returnsDeleted(kind: ResourceKind): boolean {
  return RETURN_DELETED.has(`${apiVersionOf(kind)}/${kind.kind}`);
}

function success(kind: ResourceKind, { metadata }: KubeObject): object {
  const { group } = kind;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: metadata.name,
      ...(group === '' ? {} : { group }),
      kind: kind.resource,
      uid: metadata.uid,
    },
  };
}

const POLICIES = ['Foreground', 'Background', 'Orphan'];

/** From the body, else from the query. */
export async function readDeleteOptions(exchange: Exchange): Promise<DeleteOptions> {
  const body = (await readData(exchange))?.value;
  if (body !== undefined && !isObject(body)) throw badRequest('DeleteOptions must be an object');
  const given = body ?? fromQuery(exchange.query);
  const { kind, gracePeriodSeconds, propagationPolicy, orphanDependents, preconditions } =
    given as Record<string, unknown>;
  if (kind !== undefined && kind !== 'DeleteOptions') {
    throw badRequest(`decoded object cannot be converted to DeleteOptions: ${kind}`);
  }
  check(given);
  const dryRun = Array.isArray(given.dryRun) ? given.dryRun.map(String) : [];
  return {
    dryRun: parseDryRun(
      [...dryRun, ...(body ? exchange.query.getAll('dryRun') : [])],
      'DeleteOptions',
    ),
    gracePeriodSeconds: gracePeriodSeconds === undefined ? undefined : Number(gracePeriodSeconds),
    propagationPolicy: propagationPolicy as string | undefined,
    orphanDependents: orphanDependents as boolean | undefined,
    preconditions: preconditions as DeleteOptions['preconditions'],
  };
}

function check({
  gracePeriodSeconds,
  propagationPolicy,
  orphanDependents,
}: Record<string, unknown>): void {
  const refuse = (error: ReturnType<typeof invalid>): never => {
    throw invalidObject({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [error]);
  };
  if (gracePeriodSeconds !== undefined && !isWhole(gracePeriodSeconds)) {
    throw badRequest('gracePeriodSeconds must be an integer');
  }
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    refuse(
      invalid(
        'propagationPolicy',
        propagationPolicy,
        'orphanDependents and deletionPropagation cannot be both set',
      ),
    );
  }
  if (propagationPolicy !== undefined && !POLICIES.includes(String(propagationPolicy))) {
    refuse(notSupported('propagationPolicy', propagationPolicy, [...POLICIES, 'nil']));
  }
}

function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const grace = query.get('gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  return {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: orphan === 'true' }),
    dryRun: query.getAll('dryRun'),
  };
}
