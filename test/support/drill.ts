import { dirname } from 'node:path';
import { type Cluster, K8TS, kubectlProgram } from './cluster.ts';

/** A line of the table that `k8ts drill` prints. */
interface Row {
  readonly part: string;
  readonly pods: string;
  readonly service: string;
  readonly back: string;
  readonly said: string;
}

/** Some of its failures last for a minute each. */
export const DRILL_LIMIT_MS = 600_000;

/** `k8ts drill` on a cluster, of all parts or those named. */
export async function drillRows(cluster: Cluster, ...parts: string[]): Promise<Row[]> {
  const env = { PATH: `${dirname(kubectlProgram())}:${process.env.PATH}` };
  const words = ['drill', ...parts, '--for', '1', '--root', cluster.paths.root];
  // It ends with 1 where a row is not as it should be: the rows say which, and how.
  const options = { env, timeoutMs: DRILL_LIMIT_MS, acceptExitCodes: [0, 1] };
  const { stdout, stderr } = await cluster.network.run(K8TS, words, options);
  if (!stdout.includes('KUBECTL SAYS')) throw new Error(`No table: ${stderr}`);
  return stdout
    .split('\n')
    .map((line) => line.split(/ {2,}/))
    .filter(([, pods]) => pods === 'kept' || pods === 'LOST')
    .map(([part = '', pods = '', service = '', back = '', , said = '']) => ({
      ...{ part, pods, service, back, said },
    }));
}
