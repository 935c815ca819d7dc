import { badRequest } from '../api/errors.ts';
import type { Node, Pod } from '../api/types.ts';
import type { HandlerDeps, Target } from './handler-deps.ts';
import type { ResourceKind } from './resource-kind.ts';

/** A Pod and the node that it runs on, for requests that its kubelet has to answer. */
export async function podAndNode(
  deps: HandlerDeps & { nodeKind: ResourceKind },
  target: Target,
): Promise<{ pod: Pod; node: Node }> {
  const { object } = await deps.store.read(target.kind, target);
  const pod = object as unknown as Pod;
  const name = pod.spec?.nodeName ?? '';
  if (name === '') throw badRequest(`pod ${target.name} does not have a host assigned`);
  const { object: node } = await deps.store.read(deps.nodeKind, { namespace: '', name });
  return { pod, node: node as unknown as Node };
}
