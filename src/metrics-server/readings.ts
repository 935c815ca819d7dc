/** What was read of one thing: CPU used in all (seconds), memory in use (bytes), and when (milliseconds). */
export interface Reading {
  readonly at: number;
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  /** Milliseconds; absent for the node. */
  readonly startedAt?: number;
}

/** One look at one node. */
export interface NodeReadings {
  readonly node: Reading | undefined;
  /** By `NAMESPACE/POD`, then by container. */
  readonly pods: ReadonlyMap<string, ReadonlyMap<string, Reading>>;
}

type Draft = { -readonly [K in keyof Reading]?: Reading[K] };

const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)(?: (\d+))?$/;

/** Reads a kubelet's /metrics/resource. Things of which only a part is told are left out. */
export function parseReadings(text: string, now: number): NodeReadings {
  const node: Draft = {};
  const pods = new Map<string, Map<string, Draft>>();
  const draftOf = (labels: string): Draft => {
    const { container = '', namespace = '', pod = '' } = parseLabels(labels);
    const key = `${namespace}/${pod}`;
    const containers = pods.get(key) ?? new Map<string, Draft>();
    pods.set(key, containers);
    const draft = containers.get(container) ?? {};
    containers.set(container, draft);
    return draft;
  };
  for (const line of text.split('\n')) {
    const found = LINE.exec(line);
    if (!found) continue;
    const [, name = '', labels = '', value, stamp] = found;
    const field = FIELDS[name];
    if (!field) continue;
    const target = name.startsWith('node_') ? node : draftOf(labels);
    target[field] = Number(value) * (field === 'startedAt' ? 1000 : 1);
    if (field === 'cpuSeconds') target.at = stamp === undefined ? now : Number(stamp);
  }
  return {
    node: complete(node),
    pods: new Map(
      [...pods].flatMap(([key, drafts]) => {
        const containers = new Map<string, Reading>();
        for (const [name, draft] of drafts) {
          const reading = complete(draft);
          if (reading) containers.set(name, reading);
        }
        return containers.size > 0 ? [[key, containers] as const] : [];
      }),
    ),
  };
}

const FIELDS: Readonly<Record<string, 'cpuSeconds' | 'memoryBytes' | 'startedAt'>> = {
  node_cpu_usage_seconds_total: 'cpuSeconds',
  node_memory_working_set_bytes: 'memoryBytes',
  container_cpu_usage_seconds_total: 'cpuSeconds',
  container_memory_working_set_bytes: 'memoryBytes',
  container_start_time_seconds: 'startedAt',
};

function complete({ at, cpuSeconds, memoryBytes, startedAt }: Draft): Reading | undefined {
  if (at === undefined || cpuSeconds === undefined || memoryBytes === undefined) return undefined;
  return { at, cpuSeconds, memoryBytes, ...(startedAt === undefined ? {} : { startedAt }) };
}

/** Names of namespaces, Pods and containers hold no quotation marks. */
function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, k, v]) => [k, v]));
}
