import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DEPLOYMENTS } from '../src/api/resource-types.ts';
import { startControlPlane } from '../test/support/control-plane.ts';
import { madeUpNodes } from '../test/support/made-up-nodes.ts';
import { since, total, writesSoFar } from './support/api-requests.ts';

// The API server goes away for minutes under the controllers, and comes back: CPU and log of the controller manager
// meanwhile, how soon work goes on, and what is written then although nothing has changed.
// `node bench/api-away.ts [SECONDS_AWAY] [SECONDS_AFTER]`
const [secondsAway = 600, secondsAfter = 60] = process.argv.slice(2).map(Number);
/** A hot loop would be at 100 %. */
const CPU_PERCENT = 1;

const plane = await startControlPlane({ controllers: true });
const { client, kubeconfig, controllerManager } = plane;
const nodes = await madeUpNodes(client, { names: ['n1', 'n2'] });
const names = Array.from({ length: 20 }, (_, i) => `web-${i}`);
const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Seconds of CPU that the controller manager has used. */
function cpu(): number {
  const stat = readFileSync(`/proc/${controllerManager?.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function logBytes(): number {
  return statSync(join(plane.root, 'var/log/k8ts/controller-manager.log')).size;
}

async function allHave(replicas: number): Promise<number> {
  const began = performance.now();
  for (;;) {
    const found = await client.list(DEPLOYMENTS, { namespace: 'default' }).catch(() => undefined);
    const done = found?.items.filter(({ status }) => status?.availableReplicas === replicas);
    if (done?.length === names.length) return (performance.now() - began) / 1000;
    await sleep(0.1);
  }
}

try {
  for (const name of names) {
    const labels = { app: name };
    await client.create(DEPLOYMENTS, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { namespace: 'default', name },
      spec: {
        replicas: 5,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'x' }] } },
      },
    });
  }
  await allHave(5);
  await plane.end('apiserver');
  await sleep(5);
  const [used, logged] = [cpu(), logBytes()];
  await sleep(secondsAway);
  const percent = ((cpu() - used) / secondsAway) * 100;
  console.log(
    `API server away for ${secondsAway} s: the controller manager used ${percent.toFixed(2)} % of a CPU (ceiling ${CPU_PERCENT}, ratio ${(percent / CPU_PERCENT).toFixed(2)}) and logged ${logBytes() - logged} bytes`,
  );
  await plane.restart('apiserver');
  while (!(await client.raw('GET', '/readyz').then(() => true, isAnswer))) await sleep(0.1);
  const patch = { type: 'merge', body: { spec: { replicas: 6 } } } as const;
  for (const name of names) {
    await client.patch(DEPLOYMENTS, { namespace: 'default', name }, patch);
  }
  const seconds = await allHave(6);
  await sleep(10);
  const before = await writesSoFar(kubeconfig);
  await sleep(secondsAfter);
  const written = since(before, await writesSoFar(kubeconfig));
  const leases = total(written, (id) => id.includes(' leases '));
  const same = controllerManager?.exitCode === null;
  console.log(
    `back: 20 Deployments were scaled after ${seconds.toFixed(1)} s by ${same ? 'the same process' : 'another process'}; then ${total(written)} writes in ${secondsAfter} s, ${leases} of them lease renewals (floor: only these)`,
  );
} finally {
  await nodes.stop();
  await plane.stop();
}

/** An answer that is not JSON is one, too. */
function isAnswer(err: unknown): boolean {
  return err instanceof SyntaxError;
}
