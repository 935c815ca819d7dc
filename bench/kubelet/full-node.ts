import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEPLOYMENTS, LEASES, PODS } from '../../src/api/resource-types.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { commandLineOf, listProcesses } from '../../src/host/processes.ts';
import { NODE_NAME } from '../../test/support/cluster.ts';
import { eventually } from '../../test/support/eventually.ts';
import { podOf, shell } from '../../test/support/pods.ts';
import { percentile } from '../support/percentile.ts';
import { runningPods } from './running-pods.ts';

/** Fills the node, lets it come to rest, and measures the kubelet for a minute. */
const MAX_PODS = 110;
const SETTLE_S = 40;
const REST_S = 60;
const TICKS_PER_S = 100;
const [, , kubeconfig = '', root = ''] = process.argv;
const client = await createClient(kubeconfig, { userAgent: 'bench' });

// Those that the cluster runs for itself count as well. They are critical: were they late, they would push out some of ours.
await eventually("the cluster's own Pods are ready", ownAreReady);
const others = (await client.list(PODS)).items.length;
const drafts = Array.from({ length: MAX_PODS - others }, (_, i) =>
  podOf(`dense-${i}`, [shell('main', 'sleep 3600')], { restartPolicy: 'Always' }),
);
await runningPods(client, drafts);
await sleep(SETTLE_S * 1000);
const kubelet = processOf('k8ts kubelet');
const gaps = leaseGaps();
const relists = await relistSums();
const before = ticksOf(kubelet);
await sleep(REST_S * 1000);
const percent = ((ticksOf(kubelet) - before) / TICKS_PER_S / REST_S) * 100;
const after = await relistSums();
const pss = pssOf(kubelet);
const floor = await idleNode();
const relist = ((after.seconds - relists.seconds) / (after.count - relists.count)) * 1000;
console.log(`${MAX_PODS} Pods at rest for ${REST_S} s`);
console.log(`processor  ${percent.toFixed(2)} % of a core   (at most 2)`);
console.log(
  `memory     ${pss.toFixed(1)} MB PSS   (at most 120); floor, an idle Node.js: ${floor.toFixed(1)} MB`,
);
console.log(`ratio      ${(pss / floor).toFixed(2)}`);
console.log(
  `relist     ${relist.toFixed(1)} ms each, ${after.count - relists.count} of them   (at most 100 ms)`,
);
console.log(
  `node lease ${percentile(await gaps, 1).toFixed(1)} s between renewals at most   (never above 20)`,
);
process.exit();

async function ownAreReady(): Promise<boolean> {
  const { items } = await client.list(DEPLOYMENTS, { namespace: 'kube-system' });
  const isReady = items.every(
    ({ spec, status }) => status?.readyReplicas === (spec?.replicas ?? 1),
  );
  return items.length > 0 && isReady;
}

function processOf(title: string): number {
  const found = listProcesses().find((pid) => {
    const line = commandLineOf(pid).join(' ');
    return line.startsWith(title) && line.includes(root);
  });
  if (found === undefined) throw new Error(`${title} does not run`);
  return found;
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Fields 14 and 15 of proc(5), counted after the name in parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function pssOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1]) / 1024;
}

/** Seconds between the renewals of the node's lease while it is measured. */
async function leaseGaps(): Promise<number[]> {
  const times: number[] = [];
  const options = { namespace: 'kube-node-lease', resourceVersion: '' };
  const stop = AbortSignal.timeout((REST_S - 1) * 1000);
  try {
    for await (const { object } of client.watch(LEASES, options, stop)) {
      const at = Date.parse(object.spec?.renewTime ?? '');
      if (object.metadata.name === NODE_NAME && at !== times.at(-1)) times.push(at);
    }
  } catch (err) {
    if (!stop.aborted) throw err;
  }
  return times.slice(1).map((at, i) => (at - (times[i] ?? at)) / 1000);
}

/** How often and how long the kubelet has listed its containers, from its metrics. */
async function relistSums(): Promise<{ count: number; seconds: number }> {
  const text = String(await client.raw('GET', `/api/v1/nodes/${NODE_NAME}/proxy/metrics`));
  const value = (name: string): number =>
    Number(new RegExp(`^kubelet_pleg_relist_duration_seconds_${name} (\\S+)`, 'm').exec(text)?.[1]);
  return { count: value('count'), seconds: value('sum') };
}

/** What a Node.js process holds that only waits. */
async function idleNode(): Promise<number> {
  const idle = spawn(process.execPath, ['--eval', 'console.log(1); setInterval(() => {}, 1000)']);
  await once(idle.stdout, 'data');
  const held = pssOf(idle.pid ?? 0);
  idle.kill();
  return held;
}
