import { afterAll, beforeAll } from 'vitest';
import type { Cluster } from './cluster.ts';
import { eventually } from './eventually.ts';

/** A namespace for the tests of a file, and kubectl in it. */
export interface TestNamespace {
  readonly name: string;
  kubectl(...args: string[]): Promise<string>;
  /** What `kubectl get ... -o json` answers. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
  get(...args: string[]): Promise<any>;
  apply(manifest: string | object): Promise<string>;
  /** Standard error of a command that must fail. */
  refused(args: string[], input?: string): Promise<string>;
}

/** Makes the namespace before the tests of the file, and deletes it after them. */
export function testNamespace(cluster: Cluster, name: string): TestNamespace {
  beforeAll(async () => {
    await cluster.kubectl('create', 'namespace', name);
    // A namespace takes Pods once its service account is there.
    await eventually(`the service account of ${name}`, () =>
      cluster.kubectl('-n', name, 'get', 'serviceaccount', 'default'),
    );
  });
  afterAll(() => cluster.kubectl('delete', 'namespace', name, '--wait=false'));
  return {
    name,
    kubectl: (...args) => cluster.kubectl('-n', name, ...args),
    get: (...args) => cluster.get('-n', name, ...args),
    apply: (manifest) => cluster.apply(manifest, '-n', name),
    async refused(args, input) {
      const options = { acceptExitCodes: [1], ...(input === undefined ? {} : { input }) };
      return (await cluster.tryKubectl(['-n', name, ...args], options)).stderr;
    },
  };
}
