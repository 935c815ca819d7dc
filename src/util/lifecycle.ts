import { errorMessage, isAbort } from './errors.ts';
import type { Logger } from './log.ts';

/** A signal that aborts on SIGTERM or SIGINT; a second one of either ends the process at once. */
export function shutdownSignal(log: Logger): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1);
      log.info({ signal: name }, 'Shutting down');
      controller.abort();
    });
  }
  return controller.signal;
}

/**
 * Awaits background loops until `signal` aborts. A loop that fails before that fails the whole:
 * a component with a dead part must end and be restarted, not limp on.
 */
export async function runAll(
  signal: AbortSignal,
  loops: readonly Promise<unknown>[],
): Promise<void> {
  try {
    await Promise.all(loops);
  } catch (err) {
    if (signal.aborted && isAbort(err)) return;
    throw new Error(`A background loop ended: ${errorMessage(err)}`, { cause: err });
  }
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
}
