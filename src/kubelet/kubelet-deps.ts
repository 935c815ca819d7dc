import type { Client, EventRecorder } from '../client/client.ts';
import type { Cgroups } from '../host/cgroups.ts';
import type { Logind } from '../host/logind.ts';
import type { MachineFacts } from '../host/machine.ts';
import type { Mounts } from '../host/mounts.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import type { Rush } from '../util/rush.ts';
import type { KubeletConfiguration } from './config.ts';
import type { InformerFactory } from './config-objects.ts';
import type { KubeletMetrics } from './metrics.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

/** The world that a kubelet works on. */
export interface KubeletDeps {
  client: Client;
  informers: InformerFactory;
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  /** For spans of time alone: nobody can set it. */
  steady: Clock;
  log: Logger;
  machine: MachineFacts;
  cgroups: Cgroups;
  mounts: Mounts;
  metrics: KubeletMetrics;
  logind: Logind;
  /** Of pods that are started. */
  rush: Rush;
}

export interface KubeletOptions {
  nodeName: string;
  nodeIps: readonly string[];
  rootDir: string;
  labels: Readonly<Record<string, string>>;
  gitVersion: string;
  config: KubeletConfiguration;
}
