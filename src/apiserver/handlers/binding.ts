import { badRequest, conflict } from '../../api/errors.ts';
import { invalidObject, notSupported, required } from '../../api/field-errors.ts';
import type { Binding, KubeObject, Pod } from '../../api/types.ts';
import { timestamp } from '../before-write.ts';
import { readObjectAs } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { sendSuccess } from '../reading.ts';
import type { ResourceKind, Strategy } from '../resource-kind.ts';
import { parseWriteOptions, writeContext } from '../write-options.ts';

const BINDING = {
  group: '',
  version: 'v1',
  kind: 'Binding',
  definition: 'io.k8s.api.core.v1.Binding',
};
/** A binding sets just what it is for: nothing has to be restored, and the Pod is no new one by it. */
const BIND: Strategy = { generationFields: [] };

/** POST pods/NAME/binding, and the old form POST bindings: gives a Pod its node. */
export async function bindPod(
  deps: HandlerDeps & { podKind: ResourceKind },
  exchange: Exchange,
  target: Pick<Target, 'namespace' | 'name'>,
): Promise<void> {
  const { podKind } = deps;
  const now = deps.clock.now();
  const options = parseWriteOptions(exchange, 'CreateOptions');
  const binding = (await readObjectAs(deps, exchange, BINDING)) as unknown as Binding;
  const name = target.name || (binding.metadata.name ?? '');
  if (target.name !== '' && binding.metadata.name && binding.metadata.name !== target.name) {
    throw badRequest('name in URL does not match name in Binding object');
  }
  checkBinding(binding, name);
  const change = (object: KubeObject): KubeObject => {
    bind(object as unknown as Pod, binding, { kind: podKind, now });
    // The binding may say which Pod it means; a newer version of that Pod is as good.
    delete object.metadata.resourceVersion;
    return object;
  };
  await deps.store.update(
    podKind,
    { namespace: target.namespace, name },
    { strategy: BIND, subresource: 'binding', change },
    writeContext(exchange, options, now),
  );
  await sendSuccess(exchange, 201);
}

function checkBinding({ target }: Binding, name: string): void {
  const errors = [];
  if (target?.kind && target.kind !== 'Node' && target.kind !== 'Minion') {
    errors.push(notSupported('target.kind', target.kind, ['Node', '<empty>']));
  }
  if (!target?.name) errors.push(required('target.name'));
  if (errors.length > 0) throw invalidObject(BINDING, name, errors);
}

function bind(
  pod: Pod,
  binding: Binding,
  { kind, now }: { kind: ResourceKind; now: number },
): void {
  const { name, uid, deletionTimestamp } = pod.metadata;
  const refuse = (why: string) => conflict({ group: '', resource: 'pods/binding' }, name, why);
  if (binding.metadata.uid && binding.metadata.uid !== uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${uid}`,
    );
  }
  if (deletionTimestamp) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  const { spec } = pod;
  if (!spec) return;
  if (spec.nodeName) throw refuse(`pod ${name} is already assigned to node "${spec.nodeName}"`);
  if (spec.schedulingGates?.length) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
  spec.nodeName = binding.target.name ?? '';
  if (binding.metadata.annotations) {
    pod.metadata.annotations = { ...pod.metadata.annotations, ...binding.metadata.annotations };
  }
  setScheduled(pod, timestamp(now));
}

function setScheduled(pod: Pod, lastTransitionTime: string): void {
  pod.status ??= {};
  const others = (pod.status.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
  const { observedGeneration } =
    pod.status.conditions?.find(({ type }) => type === 'PodScheduled') ?? {};
  pod.status.conditions = [
    ...others,
    {
      type: 'PodScheduled',
      status: 'True',
      lastTransitionTime,
      ...(observedGeneration === undefined ? {} : { observedGeneration }),
    },
  ];
}
