import { createCriRuntime } from './runtime/cri.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

/** The runtime behind an endpoint; its scheme says which protocol it speaks. */
export function openRuntime(endpoint: string): ContainerRuntime {
  if (endpoint.startsWith('unix://')) return createCriRuntime(endpoint);
  if (endpoint.startsWith('/')) return createCriRuntime(`unix://${endpoint}`);
  throw new Error(
    `protocol of ${JSON.stringify(endpoint)} is not supported; give a unix:// socket`,
  );
}
