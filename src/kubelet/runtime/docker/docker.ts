import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { ContainerRuntime, RuntimeEvent, RuntimeStatus } from '../runtime.ts';
import { Cni, type CniOptions } from './cni.ts';
import { streamCalls } from './commands.ts';
import { ContainerLogs } from './container-logs.ts';
import { containerCalls } from './containers.ts';
import type { Engine } from './engine.ts';
import { translated } from './errors.ts';
import { imageCalls } from './images.ts';
import { sandboxCalls } from './sandboxes.ts';
import { statsCalls } from './stats.ts';
import { StreamingServer } from './streaming.ts';

export interface DockerOptions extends CniOptions {
  /** `/var/run/docker.sock` */
  readonly socket: string;
  readonly pauseImage: string;
}

/** Docker Engine behind the kubelet's interface, over its HTTP API. */
export async function createDockerRuntime(options: DockerOptions): Promise<ContainerRuntime> {
  // Loaded only here: few nodes have Docker.
  const { default: Client } = await import('dockerode');
  const docker = new Client({ socketPath: options.socket });
  const engine: Engine = {
    docker,
    cni: new Cni(options),
    logs: new ContainerLogs(docker),
    streaming: new StreamingServer(),
    facts: { pauseImage: options.pauseImage, lowestOomScore: lowestOomScore() },
  };
  return translating({
    ...sandboxCalls(engine),
    ...containerCalls(engine),
    ...streamCalls(engine),
    ...statsCalls(engine),
    ...imageCalls(engine),
    async version() {
      const { Version, ApiVersion } = await docker.version();
      return { runtimeName: 'docker', runtimeVersion: Version, runtimeApiVersion: ApiVersion };
    },
    viewImage: () => Promise.reject(new Error('image volumes are not supported by Docker Engine')),
    removeImageView: async () => {},
    status: () => statusOf(engine),
    // The CNI configuration holds the node's range.
    updatePodCidr: async () => {},
    events: (signal) => events(engine, signal),
    close: () => engine.streaming.close(),
  });
}

/** What the engine throws becomes what a CRI runtime would have said. */
function translating(runtime: ContainerRuntime): ContainerRuntime {
  const calls = Object.entries(runtime).map(([name, call]) => {
    if (name === 'events' || name === 'close') return [name, call];
    return [
      name,
      async (...args: unknown[]) => {
        try {
          return await (call as (...args: unknown[]) => Promise<unknown>)(...args);
        } catch (err) {
          throw translated(name, err);
        }
      },
    ];
  });
  return Object.fromEntries(calls) as ContainerRuntime;
}

async function statusOf({ docker, cni }: Engine): Promise<RuntimeStatus> {
  const { Runtimes = {} } = (await docker.info()) as { Runtimes?: Record<string, unknown> };
  const problem = await cni.problem();
  const network = problem
    ? {
        status: false,
        reason: 'NetworkPluginNotReady',
        message: `docker: network plugin is not ready: ${problem}`,
      }
    : { status: true, reason: '', message: '' };
  const features = { recursiveReadOnlyMounts: false, userNamespaces: false };
  return {
    conditions: [
      { type: 'RuntimeReady', status: true, reason: '', message: '' },
      { type: 'NetworkReady', ...network },
    ],
    handlers: ['', ...Object.keys(Runtimes)].map((name) => ({ name, features })),
  };
}

const WATCHED: { type: ['container']; event: string[] } = {
  type: ['container'],
  event: ['die', 'oom', 'start', 'destroy'],
};

async function* events(
  { docker, logs }: Engine,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  const stream = (await docker.getEvents({ filters: WATCHED })) as unknown as Readable;
  const stop = (): void => void stream.destroy();
  signal.addEventListener('abort', stop, { once: true });
  // Containers that an earlier kubelet has started go on to write their logs.
  await logs.followRunning();
  let rest = '';
  try {
    for await (const chunk of stream) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter((l) => l.trim() !== '')) {
        const { Action, Actor } = JSON.parse(line) as { Action: string; Actor: { ID: string } };
        yield { containerId: Actor.ID, ...(Action === 'oom' ? { oom: true } : {}) };
      }
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

// CAP_SYS_RESOURCE, by its number in the kernel.
const SYS_RESOURCE = 1n << 24n;

/** Without the capability nobody may go below the score that a process has already: starting would fail. */
function lowestOomScore(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  if ((capabilities & SYS_RESOURCE) !== 0n) return -1000;
  return Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
}
