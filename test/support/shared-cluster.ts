import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { Cluster, type ClusterAddress, startCluster } from './cluster.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    cluster: ClusterAddress;
  }
}

/** Runs before the first e2e test: one cluster for all files that do not break it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startCluster();
  project.provide('cluster', cluster.address);
  return () => cluster.remove();
}

/** The cluster of `setup`. Tests share it: each works in a namespace of its own. */
export function sharedCluster(): Cluster {
  return new Cluster(inject('cluster'));
}
