import type { Pod } from '../api/types.ts';
import { HealthMetrics } from '../http/health-metrics.ts';
import { Metrics } from '../util/metrics.ts';
import { GIT_VERSION } from '../util/version.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';
import type { VolumeStats } from './stats/summary.ts';

const RELIST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const OPERATION_SECONDS = [0.005, 0.0125, 0.03, 0.08, 0.2, 0.5, 1.2, 3, 7.5, 19, 48, 119];

/** The kubelet's own metrics, under upstream's names. */
export type KubeletMetrics = ReturnType<typeof kubeletMetrics>;

export function kubeletMetrics(nodeName: string) {
  const registry = new Metrics();
  const probes = new Metrics();
  registry.gauge('kubelet_node_name', 'The node, as a label', ['node']).set({ node: nodeName }, 1);
  registry
    .gauge('kubernetes_build_info', 'The version, as a label', ['git_version', 'platform'])
    .set({ git_version: GIT_VERSION, platform: `linux/${process.arch}` }, 1);
  return {
    registry,
    /** What /metrics/probes shows. */
    probes,
    /** What /metrics/slis shows. */
    health: new HealthMetrics(),
    probeTotal: probes.counter('prober_probe_total', 'Runs of probes by what they found', [
      'probe_type',
      'result',
      'container',
      'pod',
      'namespace',
      'pod_uid',
    ]),
    runningPods: registry.gauge('kubelet_running_pods', 'Pods with a running sandbox'),
    runningContainers: registry.gauge('kubelet_running_containers', 'Containers by their state', [
      'container_state',
    ]),
    plegLastSeen: registry.gauge(
      'kubelet_pleg_last_seen_seconds',
      'When the runtime was listed last, in seconds since the epoch',
    ),
    plegRelist: registry.histogram(
      'kubelet_pleg_relist_duration_seconds',
      'How long a complete listing of the runtime took',
      { labelNames: [], buckets: RELIST_SECONDS },
    ),
    volumes: volumeGauges(registry),
    evictions: registry.counter('kubelet_evictions', 'Pods evicted, by the signal', [
      'eviction_signal',
    ]),
    operations: registry.counter(
      'kubelet_runtime_operations_total',
      'Calls of the container runtime',
      ['operation_type'],
    ),
    operationErrors: registry.counter(
      'kubelet_runtime_operations_errors_total',
      'Calls of the container runtime that failed',
      ['operation_type'],
    ),
    operationSeconds: registry.histogram(
      'kubelet_runtime_operations_duration_seconds',
      'How long calls of the container runtime took',
      { labelNames: ['operation_type'], buckets: OPERATION_SECONDS },
    ),
  };
}

/** How full claims are, by what `VolumeStats` calls the figure. */
function volumeGauges(registry: Metrics) {
  const gauge = (name: string, help: string) =>
    registry.gauge(`kubelet_volume_stats_${name}`, help, ['namespace', 'persistentvolumeclaim']);
  return {
    capacityBytes: gauge('capacity_bytes', 'Bytes that the volume holds'),
    availableBytes: gauge('available_bytes', 'Bytes that are free in the volume'),
    usedBytes: gauge('used_bytes', 'Bytes that are taken in the volume'),
    inodes: gauge('inodes', 'Inodes that the volume holds'),
    inodesFree: gauge('inodes_free', 'Inodes that are free in the volume'),
    inodesUsed: gauge('inodes_used', 'Inodes that are taken in the volume'),
  };
}

/** Tells how full claims are, and forgets those that are gone. */
export function tellVolumes({ volumes }: KubeletMetrics, claims: readonly VolumeStats[]): void {
  for (const gauge of Object.values(volumes)) gauge.reset();
  for (const stats of claims) {
    if (!stats.pvcRef) continue;
    const labels = { namespace: stats.pvcRef.namespace, persistentvolumeclaim: stats.pvcRef.name };
    for (const [figure, gauge] of Object.entries(volumes)) {
      const value = stats[figure as keyof typeof volumes];
      if (value !== undefined) gauge.set(labels, value);
    }
  }
}

const RESULTS: Readonly<Record<string, string>> = {
  success: 'successful',
  warning: 'successful',
  failure: 'failed',
  error: 'unknown',
};

export function countProbe(
  metrics: KubeletMetrics,
  run: { kind: string; result: string; pod: Pod; container: string },
): void {
  const { kind, result, pod, container } = run;
  const { name, namespace, uid } = pod.metadata;
  metrics.probeTotal.inc({
    probe_type: kind.charAt(0).toUpperCase() + kind.slice(1),
    result: RESULTS[result] ?? 'unknown',
    container,
    pod: name,
    namespace,
    pod_uid: uid,
  });
}

/** The runtime, with each call counted and timed. */
export function measured(runtime: ContainerRuntime, metrics: KubeletMetrics): ContainerRuntime {
  const calls = Object.entries(runtime).map(([name, call]) => {
    if (name === 'events' || name === 'close') return [name, call];
    const labels = { operation_type: operationName(name) };
    return [
      name,
      async (...args: unknown[]) => {
        const end = metrics.operationSeconds.startTimer(labels);
        metrics.operations.inc(labels);
        try {
          return await (call as (...args: unknown[]) => Promise<unknown>)(...args);
        } catch (err) {
          metrics.operationErrors.inc(labels);
          throw err;
        } finally {
          end();
        }
      },
    ];
  });
  return Object.fromEntries(calls) as ContainerRuntime;
}

/** `runPodSandbox` is `run_podsandbox` in upstream's metrics. */
function operationName(method: string): string {
  return method
    .replace('PodSandbox', 'Podsandbox')
    .replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
