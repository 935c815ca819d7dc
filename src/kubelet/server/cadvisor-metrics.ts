import type { MachineFacts } from '../../host/machine.ts';
import type { ContainerStatsOf, InterfaceStats, PodStats, Summary } from '../stats/summary.ts';
import { exposition, type Family, type Sample } from './exposition.ts';
import { cpuSeconds, podLabels } from './resource-metrics.ts';

/** What cAdvisor would call a container: its control group, its image and its id at the runtime. */
export type CadvisorNames = (
  podUid: string,
  container: string,
) => { id: string; image: string; name: string };

type Value = (c: ContainerStatsOf) => number | undefined;

const OF_CONTAINERS: readonly (readonly [name: string, type: Family['type'], value: Value])[] = [
  ['container_cpu_usage_seconds_total', 'counter', (c) => cpuSeconds(c)?.value],
  ['container_memory_usage_bytes', 'gauge', (c) => c.memory?.usageBytes],
  ['container_memory_working_set_bytes', 'gauge', (c) => c.memory?.workingSetBytes],
  ['container_memory_rss', 'gauge', (c) => c.memory?.rssBytes],
  ['container_fs_usage_bytes', 'gauge', (c) => c.rootfs?.usedBytes],
  ['container_fs_limit_bytes', 'gauge', (c) => c.rootfs?.capacityBytes],
  ['container_start_time_seconds', 'gauge', (c) => Date.parse(c.startTime) / 1000],
  ['container_last_seen', 'gauge', (c) => c.cpu && Date.parse(c.cpu.time) / 1000],
];

const OF_NETWORKS: readonly (readonly [name: string, value: (i: InterfaceStats) => number])[] = [
  ['container_network_receive_bytes_total', (i) => i.rxBytes],
  ['container_network_receive_errors_total', (i) => i.rxErrors],
  ['container_network_transmit_bytes_total', (i) => i.txBytes],
  ['container_network_transmit_errors_total', (i) => i.txErrors],
];

type Machine = Pick<MachineFacts, 'cpus' | 'memory' | 'machineId' | 'systemUuid' | 'bootId'>;

/** /metrics/cadvisor: the container and machine metrics that dashboards ask for, under cAdvisor's names. Pure. */
export function cadvisorMetrics(
  { pods }: Summary,
  machine: Machine,
  namesOf: CadvisorNames,
): string {
  const containers = pods.flatMap((pod) =>
    pod.containers.map((stats) => {
      const names = namesOf(pod.podRef.uid, stats.name);
      return { stats, labels: { container: stats.name, ...names, ...podLabels(pod) } };
    }),
  );
  const each = (value: Value): Sample[] =>
    containers.flatMap(({ stats, labels }) => {
      const found = value(stats);
      const time = stats.cpu?.time ?? stats.memory?.time;
      return found === undefined ? [] : [{ labels, value: found, time }];
    });
  return exposition([
    ...OF_CONTAINERS.map(([name, type, value]) => family(name, type, each(value))),
    family('container_memory_failures_total', 'counter', [
      ...failures(
        each((c) => c.memory?.pageFaults),
        'pgfault',
      ),
      ...failures(
        each((c) => c.memory?.majorPageFaults),
        'pgmajfault',
      ),
    ]),
    ...OF_NETWORKS.map(([name, value]) => family(name, 'counter', network(pods, value))),
    ...machineFamilies(machine),
  ]);
}

function machineFamilies({ cpus, memory, machineId, systemUuid, bootId }: Machine): Family[] {
  const labels = { boot_id: bootId, machine_id: machineId, system_uuid: systemUuid };
  return [
    family('machine_cpu_cores', 'gauge', [{ labels, value: cpus }]),
    family('machine_memory_bytes', 'gauge', [{ labels, value: memory }]),
  ];
}

function family(name: string, type: Family['type'], samples: readonly Sample[]): Family {
  return { name, type, help: name.replaceAll('_', ' '), samples };
}

function failures(samples: readonly Sample[], kind: string): Sample[] {
  return samples.map((s) => ({
    ...s,
    labels: { ...s.labels, failure_type: kind, scope: 'container' },
  }));
}

function network(pods: readonly PodStats[], value: (i: InterfaceStats) => number): Sample[] {
  return pods.flatMap((pod) =>
    (pod.network?.interfaces ?? []).map((device) => ({
      labels: { interface: device.name, ...podLabels(pod) },
      value: value(device),
      time: pod.network?.time,
    })),
  );
}
