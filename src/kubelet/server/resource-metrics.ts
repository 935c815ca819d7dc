import type { ContainerStatsOf, PodStats, Summary } from '../stats/summary.ts';
import { exposition, type Family, type Sample } from './exposition.ts';

const NANO = 1e-9;

/** /metrics/resource: what the metrics server and autoscalers live on. Pure. */
export function resourceMetrics({ node, pods }: Summary): string {
  const containers = pods.flatMap((pod) => pod.containers.map((c) => ({ pod, c })));
  const perContainer = (value: (c: ContainerStatsOf) => Measured | undefined): Sample[] =>
    containers.flatMap(({ pod, c }) => sample({ container: c.name, ...podLabels(pod) }, value(c)));
  const perPod = (value: (pod: PodStats) => Measured | undefined): Sample[] =>
    pods.flatMap((pod) => sample(podLabels(pod), value(pod)));
  const families: Family[] = [
    family('container_cpu_usage_seconds_total', 'counter', perContainer(cpuSeconds)),
    family('container_memory_working_set_bytes', 'gauge', perContainer(workingSet)),
    family(
      'container_start_time_seconds',
      'gauge',
      perContainer((c) => ({ value: Date.parse(c.startTime) / 1000 })),
    ),
    family('node_cpu_usage_seconds_total', 'counter', sample({}, cpuSeconds(node))),
    family('node_memory_working_set_bytes', 'gauge', sample({}, workingSet(node))),
    family(
      'node_swap_usage_bytes',
      'gauge',
      sample({}, node.swap && { value: node.swap.swapUsageBytes, time: node.swap.time }),
    ),
    family('pod_cpu_usage_seconds_total', 'counter', perPod(cpuSeconds)),
    family('pod_memory_working_set_bytes', 'gauge', perPod(workingSet)),
    family('resource_scrape_error', 'gauge', [{ labels: {}, value: 0 }]),
  ];
  return exposition(families);
}

const HELP: Readonly<Record<string, string>> = {
  container_cpu_usage_seconds_total: 'CPU time that the container has used, in core-seconds',
  container_memory_working_set_bytes: 'Working set of the container in bytes',
  container_start_time_seconds: 'Start of the container in seconds since the epoch',
  node_cpu_usage_seconds_total: 'CPU time that the node has used, in core-seconds',
  node_memory_working_set_bytes: 'Working set of the node in bytes',
  node_swap_usage_bytes: 'Swap in use on the node in bytes',
  pod_cpu_usage_seconds_total: 'CPU time that the pod has used, in core-seconds',
  pod_memory_working_set_bytes: 'Working set of the pod in bytes',
  resource_scrape_error: '1 when the readings could not be had, else 0',
};

function family(name: string, type: Family['type'], samples: readonly Sample[]): Family {
  return { name, type, help: HELP[name] ?? name, samples };
}

interface Measured {
  readonly value: number;
  readonly time?: string;
}

function sample(labels: Record<string, string>, measured: Measured | undefined): Sample[] {
  return measured ? [{ labels, ...measured }] : [];
}

export function podLabels({ podRef }: PodStats): { namespace: string; pod: string } {
  return { namespace: podRef.namespace, pod: podRef.name };
}

type Used = Pick<ContainerStatsOf, 'cpu' | 'memory'>;

export function cpuSeconds({ cpu }: Used): Measured | undefined {
  return cpu && { value: cpu.usageCoreNanoSeconds * NANO, time: cpu.time };
}

export function workingSet({ memory }: Used): Measured | undefined {
  return memory && { value: memory.workingSetBytes, time: memory.time };
}
