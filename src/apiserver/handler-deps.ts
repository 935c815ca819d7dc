import type { Schema } from '../api/schema.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import type { ServerMetrics } from './metrics.ts';
import type { ResourceKind } from './resource-kind.ts';
import type { ResourceStore } from './resource-store.ts';
import type { State } from './state.ts';

/** What every verb's handler works with. */
export interface HandlerDeps {
  readonly state: State;
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly schema: Schema;
  readonly metrics: ServerMetrics;
}

/** A request about a known kind. */
export interface Target {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}
