import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { isNotFound } from '../../api/errors.ts';
import { isPodReady } from '../../api/pods.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  NAMESPACES,
  NODES,
  PODS,
  SERVICES,
} from '../../api/resource-types.ts';
import type { Pod } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { loadKubeconfig } from '../../client/kubeconfig.ts';
import { RestClient } from '../../client/rest-client.ts';
import { run } from '../../host/exec.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { apiServers } from '../api-servers.ts';
import type { Paths } from '../paths.ts';
import { isReady } from '../readiness.ts';
import { deployment, PORT, podSpec } from './workload.ts';

export const DRILL_NAMESPACE = 'k8ts-drill';
/** What runs and serves all the while. */
export const DEPLOYMENT = 'steady';
const REPLICAS = 2;
const MOVE_LIMIT_MS = 180_000;
/** Makes an object for which there is no room in what a full disk has left. */
export const FILLER = 'x'.repeat(100_000);
const ASK_EVERY_MS = 50;
const LOOK_MS = 100;
/** A second. */
const ANSWER_WITHIN_LOOKS = 10;

/** What the drill works on: two web servers behind a Service, in a namespace of their own. */
export class DrillWorld {
  readonly #client: Client;
  readonly #clock: Clock;
  #servers: readonly string[] = [];
  #replicas = REPLICAS;
  #written = 0;

  constructor(deps: { client: Client; clock: Clock }) {
    this.#client = deps.client;
    this.#clock = deps.clock;
  }

  /** Makes it, and resolves with the address of the Service once it answers. */
  async prepare(signal: AbortSignal): Promise<string> {
    await this.remove(signal);
    const metadata = { name: DRILL_NAMESPACE, namespace: '' };
    await this.#client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
    this.#servers = await apiServers(this.#client, signal);
    await this.#client.create(DEPLOYMENTS, deployment(DRILL_NAMESPACE, DEPLOYMENT, REPLICAS));
    const url = await this.makeService(DEPLOYMENT, DEPLOYMENT);
    await this.until('the Service answers', () => answers(url), signal);
    await this.until(
      'both Pods run',
      async () => (await this.running(DEPLOYMENT)).length === REPLICAS,
      signal,
    );
    return url;
  }

  /** Takes all of it away, and resolves when it is gone. */
  async remove(signal: AbortSignal): Promise<void> {
    const key = { namespace: '', name: DRILL_NAMESPACE };
    const gone = async (act: () => Promise<unknown>) => {
      try {
        await act();
        return false;
      } catch (err) {
        if (isNotFound(err)) return true;
        throw err;
      }
    };
    if (await gone(() => this.#client.delete(NAMESPACES, key))) return;
    await this.until(
      'the last drill is gone',
      () => gone(() => this.#client.get(NAMESPACES, key)),
      signal,
    );
  }

  /** Containers of the running Pods of an application, those of a node left out: what must not change. */
  async running(app: string, except?: string): Promise<string[]> {
    const pods = await this.#pods(app);
    return pods
      .filter(({ spec, status }) => status?.phase === 'Running' && spec?.nodeName !== except)
      .map(({ status }) => `${status?.containerStatuses?.[0]?.containerID}`)
      .sort();
  }

  async #pods(app: string): Promise<Pod[]> {
    const selection = { namespace: DRILL_NAMESPACE, labelSelector: `app=${app}` };
    return (await this.#client.list(PODS, selection)).items;
  }

  /** Throws when a Pod of the node answers. */
  async assertSilent(node: string): Promise<void> {
    const there = (await this.#pods(DEPLOYMENT)).filter(({ spec }) => spec?.nodeName === node);
    if (there.length === 0) throw new Error(`No Pod of the drill runs on ${node}`);
    const heard = await Promise.all(there.map((pod) => answers(urlOfPod(pod))));
    if (heard.includes(true)) throw new Error(`Pods of ${node} answer although it is gone`);
  }

  /** Resolves when the node counts as lost, and others run what ran there. */
  async untilMovedFrom(node: string): Promise<void> {
    const signal = AbortSignal.timeout(MOVE_LIMIT_MS);
    const isLost = async () => !(await this.#isReady(node));
    await this.until(`${node} is NotReady`, isLost, signal);
    const moved = async () => (await this.running(DEPLOYMENT, node)).length >= this.#replicas;
    await this.until('its Pods run elsewhere', moved, signal);
  }

  /** Whether the Deployment knows that all its Pods are ready: whoever counts for it may have been away. */
  async isSettled(): Promise<boolean> {
    const key = { namespace: DRILL_NAMESPACE, name: DEPLOYMENT };
    const { metadata, spec, status } = await this.#client.get(DEPLOYMENTS, key);
    return (
      status?.observedGeneration === metadata.generation && status?.readyReplicas === spec?.replicas
    );
  }

  /** Whether the node is Ready, and all Pods that there should be are too and answer, no others. */
  async isWhole(node: string): Promise<boolean> {
    const pods = await this.#pods(DEPLOYMENT);
    if (pods.length !== this.#replicas || !pods.every(isPodReady)) return false;
    if (!(await this.#isReady(node))) return false;
    return (await Promise.all(pods.map((pod) => answers(urlOfPod(pod))))).every(Boolean);
  }

  async #isReady(name: string): Promise<boolean> {
    return isReady(await this.#client.get(NODES, { namespace: '', name }));
  }

  /** One write. Throws when it is refused. */
  async write(client: Client = this.#client, data: Record<string, string> = {}): Promise<boolean> {
    const metadata = { name: `drill-${this.#written++}`, namespace: DRILL_NAMESPACE };
    await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
    return true;
  }

  /** The same through every API server but this machine's. */
  async writeElsewhere(paths: Paths): Promise<void> {
    const config = await loadKubeconfig(paths.kubeconfig('admin'));
    const own = this.#servers.filter((server) => !config.server.endsWith(server));
    let taken = 0;
    for (const server of own) {
      const client = new RestClient({ ...config, server: `https://${server}` });
      await this.write(client).then(
        () => taken++,
        () => {},
      );
      client.close();
    }
    if (taken < this.#servers.length - 1) throw new Error('Not all other API servers take writes');
  }

  /** Writes until that fails with these words. */
  async untilRefused(words: string): Promise<void> {
    const signal = AbortSignal.timeout(MOVE_LIMIT_MS);
    while (!signal.aborted) {
      try {
        await this.write(this.#client, { filler: FILLER });
      } catch (err) {
        if (errorMessage(err).includes(words)) return;
        throw err;
      }
    }
    throw new Error(`Not in time: writes fail with: ${words}`);
  }

  /** What kubectl prints: its answer, or the last line of what went wrong. Empty where there is no kubectl. */
  async kubectl({ state, kubeconfig }: Paths, words: readonly string[]): Promise<string> {
    const own = join(state, 'tools/kubectl');
    const program = existsSync(own) ? own : 'kubectl';
    const usual = ['--kubeconfig', kubeconfig('admin'), '-n', DRILL_NAMESPACE];
    const args = [...usual, '--request-timeout=5s', ...words];
    const form = words[0] === 'get' ? ['--no-headers'] : [];
    const options = { acceptExitCodes: [0, 1], timeoutMs: 30_000 };
    const said = await run(program, [...args, ...form], options).catch(() => undefined);
    const line = (said?.stdout || said?.stderr || '').trim().split('\n').at(-1) ?? '';
    return line.replace(/\s+/g, ' ');
  }

  /** `node`: where it is to run; absent: wherever the scheduler says. */
  async makePod(name: string, node?: string): Promise<void> {
    const nodeSelector = node === undefined ? undefined : { 'kubernetes.io/hostname': node };
    await this.#client.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: DRILL_NAMESPACE, labels: { app: name } },
      spec: { ...podSpec(), ...(nodeSelector ? { nodeSelector } : {}) },
    });
  }

  pod(name: string): Promise<Pod> {
    return this.#client.get(PODS, { namespace: DRILL_NAMESPACE, name });
  }

  async scale(replicas: number): Promise<void> {
    this.#replicas = replicas;
    const key = { namespace: DRILL_NAMESPACE, name: DEPLOYMENT };
    const body = { spec: { replicas } };
    await this.#client.patch(DEPLOYMENTS, key, { type: 'merge', body });
  }

  /** A Service for the Pods of an application. Answers its URL. */
  async makeService(name: string, app: string): Promise<string> {
    const made = await this.#client.create(SERVICES, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: DRILL_NAMESPACE },
      spec: { selector: { app }, ports: [{ port: 80, targetPort: PORT }] },
    });
    return `http://${made.spec?.clusterIP}/`;
  }

  async urlOf(service: string): Promise<string> {
    const key = { namespace: DRILL_NAMESPACE, name: service };
    return `http://${(await this.#client.get(SERVICES, key)).spec?.clusterIP}/`;
  }

  /** Resolves with the seconds that it took until the condition held. */
  async until(what: string, holds: () => Promise<boolean>, signal: AbortSignal): Promise<number> {
    const begin = this.#clock.now();
    for (;;) {
      if (await holds().catch(() => false)) return (this.#clock.now() - begin) / 1000;
      if (signal.aborted) throw new Error(`Not in time: ${what}`);
      await this.#clock.sleep(LOOK_MS);
    }
  }

  /** Asks the Service again and again until aborted. Answers how often, and how often nobody answered. */
  async ask(url: string, signal: AbortSignal): Promise<{ asked: number; failed: number }> {
    const count = { asked: 0, failed: 0 };
    while (!signal.aborted) {
      count.asked++;
      if (!(await answers(url))) count.failed++;
      await this.#clock.sleep(ASK_EVERY_MS);
    }
    return count;
  }
}

/** One new connection, one answer. */
export function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request(url, { agent: false }, (response) => {
      response.resume();
      response.once('close', () => done(response.complete && response.statusCode === 200));
    });
    // Counted in looks, not read off the clock: while the whole machine is held up, nobody can answer.
    let looks = 0;
    const patience = setInterval(() => {
      if (++looks === ANSWER_WITHIN_LOOKS) asking.destroy(new Error('no answer'));
    }, LOOK_MS);
    const done = (answered: boolean) => {
      clearInterval(patience);
      resolve(answered);
    };
    asking.once('error', () => done(false));
    asking.end();
  });
}

function urlOfPod({ status }: Pod): string {
  return `http://${status?.podIP}:${PORT}/`;
}
