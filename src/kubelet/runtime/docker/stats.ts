import type Docker from 'dockerode';
import type { ContainerStats } from '../container-stats.ts';
import type { ContainerRuntime } from '../runtime.ts';
import { ATTEMPT_LABEL } from './container-spec.ts';
import type { Engine } from './engine.ts';
import { orUndefined } from './errors.ts';
import { fromLabels, labelFilter } from './labels.ts';

type StatsCalls = Pick<ContainerRuntime, 'containerStats' | 'listContainerStats'>;

export function statsCalls({ docker }: Engine): StatsCalls {
  const list = (filters: object) =>
    docker.listContainers({ filters, size: true } as Docker.ContainerListOptions);
  const read = async (one: Docker.ContainerInfo): Promise<ContainerStats | undefined> => {
    const container = docker.getContainer(one.Id);
    // "one-shot" keeps Docker from waiting a second for something to compare with.
    const options = { stream: false as const, 'one-shot': true };
    const stats = await orUndefined(container.stats(options as { stream: false }));
    return stats && statsOf(one, stats);
  };
  return {
    async containerStats(id) {
      const [found] = await list({ id: [id] });
      return found && read(found);
    },
    async listContainerStats(filter) {
      const found = await Promise.all((await list(labelFilter('container', filter))).map(read));
      return found.filter((one) => one !== undefined);
    },
  };
}

function statsOf(one: Docker.ContainerInfo, stats: Docker.ContainerStats): ContainerStats {
  const timestamp = Date.parse(stats.read) * 1e6;
  const memory = stats.memory_stats;
  const detail = (memory.stats ?? {}) as unknown as Record<string, number>;
  const inactive = detail.total_inactive_file ?? detail.inactive_file ?? 0;
  const usage = memory.usage ?? 0;
  const { labels } = fromLabels(one.Labels);
  const figure = (value: number | undefined) => (value === undefined ? null : { value });
  return {
    attributes: {
      id: one.Id,
      metadata: {
        name: labels['io.kubernetes.container.name'] ?? '',
        attempt: Number(one.Labels[ATTEMPT_LABEL] ?? 0),
      },
      labels,
    },
    cpu: {
      timestamp,
      usageCoreNanoSeconds: figure(stats.cpu_stats.cpu_usage.total_usage),
      usageNanoCores: null,
    },
    memory: {
      timestamp,
      workingSetBytes: { value: Math.max(0, usage - inactive) },
      availableBytes: null,
      usageBytes: { value: usage },
      rssBytes: figure(detail.total_rss ?? detail.anon),
      pageFaults: figure(detail.total_pgfault ?? detail.pgfault),
      majorPageFaults: figure(detail.total_pgmajfault ?? detail.pgmajfault),
    },
    writableLayer: {
      timestamp,
      fsId: null,
      usedBytes: figure((one as { SizeRw?: number }).SizeRw ?? 0),
      inodesUsed: null,
    },
  };
}
