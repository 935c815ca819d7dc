import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import { type AuditBatches, DEFAULT_BATCHES } from '../audit-batches.ts';
import type { AuditEvent } from './record.ts';

export interface AuditWebhookDeps {
  /** POSTs an EventList. */
  readonly send: (body: object, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

const TRIES = 4;

/** Sends events to another server in batches. What its buffer cannot hold is dropped, and that is logged. */
export class AuditWebhook {
  readonly #deps: AuditWebhookDeps;
  readonly #batches: AuditBatches;
  #events: AuditEvent[] = [];
  #dropped = 0;
  #wake: (() => void) | undefined;

  constructor(deps: AuditWebhookDeps, batches = DEFAULT_BATCHES) {
    this.#deps = deps;
    this.#batches = batches;
  }

  write(event: AuditEvent): void {
    const { buffer, size } = this.#batches;
    if (this.#events.length >= buffer) {
      this.#dropped++;
      return;
    }
    this.#events.push(event);
    if (this.#events.length === 1 || this.#events.length >= size) this.#wake?.();
  }

  /** Works until aborted; what is left is sent then. */
  async run(signal: AbortSignal): Promise<void> {
    const { size, waitMs } = this.#batches;
    while (!signal.aborted) {
      await this.#woken(signal, () => this.#events.length > 0);
      await this.#woken(signal, () => this.#events.length >= size, waitMs);
      await this.#flush(signal);
    }
    const last = AbortSignal.timeout(5000);
    while (this.#events.length > 0 && !last.aborted) await this.#flush(last);
  }

  /** Resolves when `ready` says so, after `ms`, or when aborted. */
  #woken(signal: AbortSignal, ready: () => boolean, ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === undefined ? () => {} : this.#deps.clock.after(ms, () => done());
      const done = () => {
        cancel();
        this.#wake = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      if (signal.aborted || ready()) return done();
      this.#wake = () => {
        if (ready()) done();
      };
      signal.addEventListener('abort', done, { once: true });
      return undefined;
    });
  }

  async #flush(signal: AbortSignal): Promise<void> {
    const { log, clock, send } = this.#deps;
    if (this.#dropped > 0) {
      log.error({ events: this.#dropped }, 'Audit events were dropped: the buffer was full');
      this.#dropped = 0;
    }
    const items = this.#events.splice(0, this.#batches.size);
    if (items.length === 0) return;
    const body = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items };
    for (let tries = 1; ; tries++) {
      try {
        return await send(body, signal);
      } catch (err) {
        if (tries >= TRIES || signal.aborted) {
          log.error(
            { events: items.length, err: errorMessage(err) },
            'Could not send audit events',
          );
          return;
        }
        await clock.sleep(this.#batches.backoffMs * 1.5 ** (tries - 1), signal).catch(() => {});
      }
    }
  }
}
