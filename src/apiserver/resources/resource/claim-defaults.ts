import type { ResourceClaim } from '../../../api/types.ts';

type Requests = NonNullable<ResourceClaim['spec']['devices']>['requests'];
type Exact = NonNullable<NonNullable<Requests>[number]['exactly']>;

/** How many devices a request means when it does not say (resource/v1 SetDefaults). */
export function defaultClaimSpec(spec: ResourceClaim['spec']): void {
  for (const request of spec.devices?.requests ?? []) {
    if (request.exactly) defaultCount(request.exactly);
    for (const alternative of request.firstAvailable ?? []) defaultCount(alternative);
  }
}

function defaultCount(request: Pick<Exact, 'allocationMode' | 'count' | 'tolerations'>): void {
  request.allocationMode ??= 'ExactCount';
  if (request.allocationMode === 'ExactCount') request.count ??= 1;
  for (const toleration of request.tolerations ?? []) toleration.operator ??= 'Equal';
}
