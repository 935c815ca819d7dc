import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isPodReady } from '../../src/api/pods.ts';
import { type ObjectKey, PODS, type ResourceType } from '../../src/api/resource-types.ts';
import type { Pod } from '../../src/api/types.ts';
import type { RestClient } from '../../src/client/rest-client.ts';
import { kubectlProgram } from './cluster.ts';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.ts';
import { eventually } from './eventually.ts';
import { madeUpNodes } from './made-up-nodes.ts';

const run = promisify(execFile);

/** Real controllers and a real scheduler at work on made-up nodes: for what a workload's controllers do to their Pods. */
export class Workloads {
  readonly plane: ControlPlane;
  readonly #nodes: { stop(): Promise<void> };
  readonly #held: Set<string>;
  #looks = 0;

  private constructor(plane: ControlPlane, nodes: { stop(): Promise<void> }, held: Set<string>) {
    this.plane = plane;
    this.#nodes = nodes;
    this.#held = held;
  }

  static async start(options: ControlPlaneOptions = {}): Promise<Workloads> {
    const plane = await startControlPlane({ controllers: true, ...options });
    const held = new Set<string>();
    const ready = ({ metadata }: Pod) =>
      !held.has(metadata.name) && metadata.labels?.[HELD] === undefined;
    const nodes = await madeUpNodes(plane.client, { names: ['n1', 'n2'], ready });
    return new Workloads(plane, nodes, held);
  }

  get client(): RestClient {
    return this.plane.client;
  }

  async stop(): Promise<void> {
    await this.#nodes.stop();
    await this.plane.stop();
  }

  /** A Pod of this name is not ready until `free`. */
  async hold(name: string): Promise<void> {
    this.#held.add(name);
    await this.#wake(name);
  }

  async free(name: string): Promise<void> {
    this.#held.delete(name);
    await this.#wake(name);
  }

  /** Nodes look at a Pod when it changes. */
  async #wake(name: string): Promise<void> {
    const body = { metadata: { annotations: { 'test/look': String(++this.#looks) } } };
    await this.client.patch(PODS, keyOf(name), { type: 'merge', body }).catch(() => {});
  }

  async pods(app: string): Promise<Pod[]> {
    const where = { namespace: 'default', labelSelector: `app=${app}` };
    const { items } = await this.client.list(PODS, where);
    return items.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** Waits until exactly so many Pods are there, all ready and none going. */
  readyPods(app: string, count: number): Promise<Pod[]> {
    return eventually(`${count} ready Pods of ${app}`, async () => {
      const pods = await this.pods(app);
      const settled = pods.filter((p) => isPodReady(p) && !p.metadata.deletionTimestamp);
      return pods.length === count && settled.length === count ? pods : undefined;
    });
  }

  /** Merges into the object, and answers it as it is then. */
  patch<T>(type: ResourceType<T>, name: string, body: object, subresource?: string): Promise<T> {
    const how = subresource ? { subresource } : {};
    return this.client.patch(type, keyOf(name), { type: 'merge', body }, how);
  }

  /** Waits until the object of this name meets the condition. */
  until<T>(
    type: ResourceType<T>,
    name: string,
    what: string,
    met: (object: T) => boolean | undefined,
  ): Promise<NonNullable<T>> {
    return eventually(`${type.kind} ${name}: ${what}`, async () => {
      const object = await this.client.get(type, keyOf(name));
      return met(object) ? object : undefined;
    });
  }

  /** Replaces the scale at this path, again when the object has changed meanwhile. Answers it as it was. */
  rescale(path: string, replicas: number): Promise<object> {
    return eventually(`a replaced ${path}`, async () => {
      const scale = (await this.client.raw('GET', path)) as object;
      await this.client.raw('PUT', path, { ...scale, spec: { replicas } });
      return scale;
    });
  }

  /** Requests that the API server has refused for want of rights: each controller has an account of its own. */
  async refusals(): Promise<string[]> {
    const metrics = await this.kubectl('get', '--raw', '/metrics');
    const isRefusal = (line: string) =>
      line.startsWith('apiserver_request_total{') && line.includes('code="403"');
    return metrics.split('\n').filter(isRefusal);
  }

  /** What kubectl printed. */
  async kubectl(...args: string[]): Promise<string> {
    const env = { ...process.env, KUBECONFIG: this.plane.kubeconfig, HOME: this.plane.root };
    return (await run(kubectlProgram(), args, { env, timeout: 150_000 })).stdout;
  }
}

/** Pods with this label are never ready. */
export const HELD = 'test-held';

/** In the namespace default. */
export function keyOf(name: string): ObjectKey {
  return { namespace: 'default', name };
}

/** A Pod template with one container. */
export function templateOf(app: string, image: string, labels: Record<string, string> = {}) {
  return { metadata: { labels: { app, ...labels } }, spec: { containers: [{ name: 'c', image }] } };
}

/** A workload of apps/v1 in the namespace default. */
export function workloadOf(kind: string, name: string, spec: object = {}) {
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { ...keyOf(name), labels: { app: name } },
    spec: {
      selector: { matchLabels: { app: name } },
      template: templateOf(name, 'v1'),
      ...spec,
    },
  };
}

export function imagesOf(pods: readonly Pod[]): (string | undefined)[] {
  return pods.map(({ spec }) => spec?.containers[0]?.image);
}
