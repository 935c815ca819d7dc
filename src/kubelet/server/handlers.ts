import type { ServerResponse } from 'node:http';
import { type HealthCheck, healthAnswer } from '../../http/health.ts';
import { errorMessage } from '../../util/errors.ts';
import { isRpcUnimplemented } from '../../util/grpc.ts';
import { tellVolumes } from '../metrics.ts';
import { newestContainer } from '../runtime-pod.ts';
import { cadvisorMetrics } from './cadvisor-metrics.ts';
import { containerLogs } from './container-logs.ts';
import { HttpError } from './http-error.ts';
import { resourceMetrics } from './resource-metrics.ts';
import { containerOf, runCommand } from './streaming.ts';
import { systemLogs } from './system-logs.ts';
import type { KubeletRequest, Target } from './target.ts';

type Handler = (request: KubeletRequest, target: Target) => Promise<void>;

/** Those that debugging handlers can be switched off for. */
export const DEBUGGING: ReadonlySet<string> = new Set([
  'run',
  'exec',
  'attach',
  'portForward',
  'containerLogs',
  'runningpods',
  'logs',
]);

// Upstream calls the loop unhealthy when the runtime was not listed for this long.
const RELIST_LATE_MS = 180_000;

/** What answers at the first part of a path. */
export const HANDLERS: Readonly<Record<string, Handler>> = {
  healthz: async ({ res, url, parts: [name] }, target) => {
    const checks = healthChecks(target).filter((c) => name === undefined || c.name === name);
    if (checks.length === 0) throw new HttpError(404, '404 page not found');
    const { code, body } = await healthAnswer('healthz', checks, url.searchParams);
    text(res, body, code);
  },
  pods: async ({ res }, { workers, status }) => {
    const items = workers.list().map((s) => ({ ...s.pod, status: status.get(s.pod) }));
    json(res, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
  },
  runningpods: async ({ res }, target) => json(res, runningPods(target)),
  configz: async ({ res }, { options }) => json(res, { kubeletconfig: options.config }),
  stats: async ({ res, url, parts: [name], signal }, { stats }) => {
    if (name !== 'summary') throw new HttpError(404, '404 page not found');
    const light = url.searchParams.get('only_cpu_and_memory') === 'true';
    json(res, await stats.summary({ light }, signal));
  },
  metrics: metricsDoor,
  checkpoint,
  containerLogs,
  logs: systemLogs,
  run: runCommand,
};

function healthChecks(target: Target): HealthCheck[] {
  return target.metrics.health.kept('healthz', [
    { name: 'ping', check: () => {} },
    { name: 'log', check: () => {} },
    {
      name: 'syncloop',
      check: () => {
        if (target.now() - target.pleg.lastRelist > RELIST_LATE_MS)
          throw new Error('sync Loop took longer than expected');
      },
    },
  ]);
}

function runningPods({ pleg }: Target): object {
  const items = pleg
    .list()
    .map((pod) => ({ pod, running: pod.containers.filter((c) => c.state === 'running') }))
    .filter(({ running }) => running.length > 0)
    .map(({ pod: { uid, name, namespace }, running }) => ({
      metadata: { uid, name, namespace },
      spec: { containers: running.map((c) => ({ name: c.name, image: c.image })) },
      status: {},
    }));
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
}

async function metricsDoor({ res, parts: [name], signal }: KubeletRequest, target: Target) {
  const { stats, metrics, pleg, machine } = target;
  switch (name) {
    case undefined:
      await refreshMetrics(target);
      return text(res, await metrics.registry.render());
    case 'probes':
      return text(res, await metrics.probes.render());
    case 'slis':
      return text(res, await metrics.health.render());
    case 'resource':
      return text(res, resourceMetrics(await stats.readings(signal)));
    case 'cadvisor': {
      const summary = await stats.summary({ light: false }, signal);
      const namesOf = (uid: string, container: string) => {
        const found = newestContainer(pleg.get(uid), container);
        const id = found ? `${target.groupOf(uid)}/${found.id}` : '';
        return { id, image: found?.image ?? '', name: found?.id ?? '' };
      };
      return text(res, cadvisorMetrics(summary, machine, namesOf));
    }
    default:
      throw new HttpError(404, '404 page not found');
  }
}

/** Gauges that follow from what is known anyway are set when somebody asks. */
async function refreshMetrics({ metrics, pleg, stats }: Target): Promise<void> {
  tellVolumes(metrics, await stats.claims());
  const pods = pleg.list();
  metrics.runningPods.set(pods.filter((pod) => pod.sandboxes.some((s) => s.ready)).length);
  metrics.plegLastSeen.set(pleg.lastRelist / 1000);
  metrics.runningContainers.reset();
  for (const { state } of pods.flatMap((pod) => pod.containers)) {
    metrics.runningContainers.inc({ container_state: state });
  }
}

/** POST /checkpoint/NAMESPACE/POD/CONTAINER */
async function checkpoint({ req, res, parts, signal }: KubeletRequest, target: Target) {
  if (req.method !== 'POST') throw new HttpError(405, 'Method Not Allowed');
  const { containerId } = containerOf(target, parts);
  const [namespace, pod, container] = parts;
  const stamp = new Date(target.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  const file = `${target.checkpoints}/checkpoint-${pod}_${namespace}-${container}-${stamp}.tar`;
  try {
    await target.runtime.checkpointContainer(containerId, file, signal);
  } catch (err) {
    const code = isRpcUnimplemented(err) ? 404 : 500;
    const what = `${namespace}/${pod}/${container}`;
    throw new HttpError(code, `checkpointing of ${what} failed (${errorMessage(err)})`);
  }
  json(res, { items: [file] });
}

function json(res: ServerResponse, value: unknown): void {
  res.writeHead(200, { 'Content-Type': 'application/json' });
  res.end(JSON.stringify(value));
}

function text(res: ServerResponse, body: string, code = 200): void {
  res.writeHead(code, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' });
  res.end(body);
}
