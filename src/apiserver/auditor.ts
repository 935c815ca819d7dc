import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { AuditLog, type AuditLogOptions } from './audit/log-backend.ts';
import { type AuditEvent, AuditRecord } from './audit/record.ts';
import { AuditWebhook, type AuditWebhookDeps } from './audit/webhook-backend.ts';
import type { AuditBatches } from './audit-batches.ts';
import { type AuditPolicy, auditDecision } from './audit-policy.ts';
import type { Exchange } from './exchange.ts';
import type { UserInfo } from './resource-kind.ts';

export interface AuditOptions {
  readonly policy: AuditPolicy;
  readonly logFile?: AuditLogOptions | undefined;
  readonly send?: AuditWebhookDeps['send'] | undefined;
  readonly batches?: AuditBatches | undefined;
}

/** Who did what, when and with which outcome: one record per request, to the log and to a webhook. */
export class Auditor {
  readonly #options: AuditOptions;
  readonly #clock: Clock;
  readonly #log: AuditLog | undefined;
  readonly #webhook: AuditWebhook | undefined;

  constructor(options: AuditOptions, deps: { clock: Clock; log: Logger }) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#log = options.logFile && new AuditLog(options.logFile, deps);
    this.#webhook =
      options.send && new AuditWebhook({ ...deps, send: options.send }, options.batches);
  }

  /** Ready to write when it resolves. */
  async open(): Promise<void> {
    await this.#log?.open();
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#webhook?.run(signal);
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  /** Begins the record of a request by `user` (`as`: done as somebody else). Undefined: the policy wants none. */
  begin(exchange: Exchange, user: UserInfo, as: UserInfo | undefined): AuditRecord | undefined {
    const { id, info, req } = exchange;
    const decision = auditDecision(this.#options.policy, user, info);
    if (decision.level === 'None') return undefined;
    const emit = (event: AuditEvent) => {
      this.#log?.write(event);
      this.#webhook?.write(event);
    };
    return new AuditRecord({ id, decision, info, req, user, as }, { emit, now: this.#clock.now });
  }
}
