import { resolve } from 'node:path';
import type { Cluster } from './cluster.ts';
import { eventually } from './eventually.ts';

const K8TS = resolve(import.meta.dirname, '../../bin/k8ts');

/** The number of a component's process, once it runs. */
export function componentPid({ network, paths }: Cluster, name: string): Promise<number> {
  return eventually(`${name} is running`, async () => {
    const args = ['status', '--root', paths.root];
    const { stdout } = await network.run(K8TS, args, { acceptExitCodes: [0, 1] });
    const row = stdout.split('\n').find((line) => line.startsWith(`${name} `));
    const [, state, pid] = row?.split(/ {2,}/) ?? [];
    return state === 'running' ? Number(pid) : undefined;
  });
}
