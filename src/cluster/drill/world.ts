import { request } from 'node:http';
import { isNotFound } from '../../api/errors.ts';
import { DEPLOYMENTS, NAMESPACES, PODS, SERVICES } from '../../api/resource-types.ts';
import type { Pod } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';

export const DRILL_NAMESPACE = 'k8ts-drill';
const IMAGE = 'localhost/k8ts/web:1';
const PORT = 8080;
const REPLICAS = 2;
const ASK_EVERY_MS = 50;
const ANSWER_WITHIN_MS = 1000;
const LOOK_MS = 100;

/** What the drill works on: two web servers behind a Service, in a namespace of their own. */
export class DrillWorld {
  readonly #client: Client;
  readonly #clock: Clock;

  constructor(deps: { client: Client; clock: Clock }) {
    this.#client = deps.client;
    this.#clock = deps.clock;
  }

  /** Makes it, and resolves with the address of the Service once it answers. */
  async prepare(signal: AbortSignal): Promise<string> {
    await this.remove(signal);
    const metadata = { name: DRILL_NAMESPACE, namespace: '' };
    await this.#client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
    await this.#client.create(DEPLOYMENTS, deployment('steady', REPLICAS));
    const url = await this.makeService('steady', 'steady');
    await this.until('the Service answers', () => answers(url), signal);
    await this.until(
      'both Pods run',
      async () => (await this.running('steady')).length === REPLICAS,
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

  /** Containers of the running Pods of an application: what must not change when a component dies. */
  async running(app: string): Promise<string[]> {
    const selection = { namespace: DRILL_NAMESPACE, labelSelector: `app=${app}` };
    const { items } = await this.#client.list(PODS, selection);
    return items
      .filter(({ status }) => status?.phase === 'Running')
      .map(({ status }) => `${status?.containerStatuses?.[0]?.containerID}`)
      .sort();
  }

  async makePod(name: string): Promise<void> {
    await this.#client.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: DRILL_NAMESPACE, labels: { app: name } },
      spec: podSpec(),
    });
  }

  pod(name: string): Promise<Pod> {
    return this.#client.get(PODS, { namespace: DRILL_NAMESPACE, name });
  }

  async scale(replicas: number): Promise<void> {
    const key = { namespace: DRILL_NAMESPACE, name: 'steady' };
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
    const asking = request(url, { agent: false, timeout: ANSWER_WITHIN_MS }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.statusCode === 200));
    });
    asking.once('timeout', () => asking.destroy(new Error('no answer')));
    asking.once('error', () => resolve(false));
    asking.end();
  });
}

function podSpec() {
  // Ready only once it listens: else the drill would count its own Pod's start as a failure.
  const readinessProbe = { httpGet: { path: '/', port: PORT }, periodSeconds: 1 };
  const container = { name: 'web', image: IMAGE, ports: [{ containerPort: PORT }], readinessProbe };
  return { terminationGracePeriodSeconds: 1, containers: [container] };
}

function deployment(name: string, replicas: number) {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: DRILL_NAMESPACE },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec() },
    },
  };
}
