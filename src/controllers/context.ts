import type { Client, EventRecorder } from '../client/client.ts';
import {
  Controller,
  type ControllerObserver,
  type ControllerOptions,
  type Reconciler,
} from '../client/controller.ts';
import type { InformerFactory } from '../client/informer-factory.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';

/** The text of a file that may change. */
export interface LiveText {
  current(): string;
  /** Calls back after each change. */
  onChange(listener: () => void): void;
}

/** What the operator may set; upstream's flags without their dashes. */
export interface ManagerOptions {
  /** PEM of the authority that kube-root-ca.crt publishes. */
  readonly rootCa?: LiveText;
  /** The authority that signs what was approved, and for how long at most. Absent: nothing is signed. */
  readonly clusterSigning?: {
    readonly certificateFile: string;
    readonly keyFile: string;
    readonly durationMs: number;
  };
  /** Signs the claims of a token; absent: token Secrets are left alone. */
  readonly signServiceAccountToken?: (claims: object) => Promise<string>;
  readonly legacyTokenCleanUpPeriodMs: number;
  /** Pod networks to cut node networks from, one per IP family. */
  readonly clusterCidrs: readonly string[];
  readonly allocateNodeCidrs: boolean;
  readonly nodeCidrMaskSizeIpv4: number;
  readonly nodeCidrMaskSizeIpv6: number;
  readonly serviceCidrs: readonly string[];
  readonly nodeMonitorGracePeriodMs: number;
  readonly nodeMonitorPeriodMs: number;
  readonly nodeStartupGracePeriodMs: number;
  readonly nodeEvictionRate: number;
  readonly secondaryNodeEvictionRate: number;
  readonly unhealthyZoneThreshold: number;
  readonly largeClusterSizeThreshold: number;
  readonly terminatedPodGcThreshold: number;
  readonly resourceQuotaSyncPeriodMs: number;
  readonly hpaSyncPeriodMs: number;
  readonly hpaDownscaleStabilizationMs: number;
  readonly hpaTolerance: number;
  readonly hpaCpuInitializationMs: number;
  readonly hpaInitialReadinessMs: number;
  /** How long changes of Pods are gathered before endpoints are written. */
  readonly endpointsBatchMs: number;
  readonly endpointSlicesBatchMs: number;
  readonly mirroredSlicesBatchMs: number;
  readonly maxEndpointsPerSlice: number;
  readonly maxMirroredPerSubset: number;
  /** Where node-local volumes are made, and the image of the Pods that make them. */
  readonly localPath: { readonly directory: string; readonly image: string };
}

/** What every controller is made from. */
export interface ControllerContext {
  /** Acts with the rights of this one controller. */
  readonly client: Client;
  /** Shared by all controllers. */
  readonly informers: InformerFactory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ControllerObserver;
  readonly options: ManagerOptions;
  /** Reconciles at the same time. */
  readonly workers: number;
  /** A recorder whose events name `component` as their source. */
  events(component: string): EventRecorder;
}

/** A loop of the manager. */
export interface Runnable {
  run(signal: AbortSignal): Promise<void>;
}

/** Makes the controllers of one name. Nothing happens before `run`. */
export type ControllerFactory = (context: ControllerContext) => Runnable | readonly Runnable[];

/** A controller bound to the context's clock, log and metrics. */
export function newController(
  context: ControllerContext,
  reconciler: Reconciler,
  options: ControllerOptions = {},
): Controller {
  const { clock, log, observer, workers } = context;
  return new Controller({ reconciler, log }, { clock, observer, workers, ...options });
}
