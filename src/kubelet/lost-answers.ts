import type { Clock } from '../util/clock.ts';
import { isRpcCutOff } from '../util/grpc.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

// An engine that is started again answers within this, and one that was at it has started the container.
const PATIENCE_MS = 10_000;
const PAUSE_MS = 250;

/**
 * Whether a container runs though starting it failed with `err`: an engine may have done it and been cut off before it could
 * say so. What follows a start (the link to the log, the postStart hook) is due then.
 */
export async function runsAllTheSame(
  id: string,
  err: unknown,
  { runtime, clock }: { runtime: Pick<ContainerRuntime, 'containerStatus'>; clock: Clock },
  signal: AbortSignal,
): Promise<boolean> {
  if (!isRpcCutOff(err)) return false;
  for (const end = clock.now() + PATIENCE_MS; clock.now() < end; ) {
    try {
      const status = await runtime.containerStatus(id, signal);
      // One that is created still may be on its way.
      if (status?.state !== 'CONTAINER_CREATED') return status?.state === 'CONTAINER_RUNNING';
    } catch (again) {
      signal.throwIfAborted();
      if (!isRpcCutOff(again)) return false;
    }
    await clock.sleep(PAUSE_MS, signal);
  }
  return false;
}
