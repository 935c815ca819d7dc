import type { Informer } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';

const RETRY_MS = 5000;

/** What is done about objects whenever they have changed. */
export interface Following<T> {
  /** Answers false, or throws, when it is to be tried again though nothing changes. */
  readonly act: (objects: readonly T[]) => Promise<boolean>;
  /** What the log says when it throws. */
  readonly problem: string;
}

/** Acts on what an informer knows, at first and after each change, until aborted. */
export async function follow<T>(
  informer: Informer<T>,
  { act, problem }: Following<T>,
  { clock, log }: { clock: Clock; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  let wake = () => {};
  let said = '';
  const changed = () => wake();
  informer.addHandler({ onAdd: changed, onUpdate: changed, onDelete: changed });
  const watching = informer.run(signal);
  try {
    await informer.whenSynced(signal);
    signal.addEventListener('abort', changed, { once: true });
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const done = await act(informer.list()).catch((err: unknown) => {
        const text = errorMessage(err);
        // Said once, not at every try.
        if (!signal.aborted && text !== said) log.warn({ err: text }, problem);
        said = text;
        return false;
      });
      if (signal.aborted) break;
      if (done) said = '';
      const cancel = done ? undefined : clock.after(RETRY_MS, changed);
      await woken;
      cancel?.();
    }
  } catch (err) {
    if (!signal.aborted) throw err;
  }
  await watching;
}
