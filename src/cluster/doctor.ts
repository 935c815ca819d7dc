import { isNotFound } from '../api/errors.ts';
import {
  ENDPOINT_SLICES,
  EVENTS,
  NODES,
  type ObjectKey,
  PODS,
  SERVICES,
} from '../api/resource-types.ts';
import type { Client } from '../client/client.ts';
import { run } from '../host/exec.ts';
import { diagnosePod } from './doctor/diagnose-pod.ts';
import { diagnoseService } from './doctor/diagnose-service.ts';
import { examineCluster } from './doctor/examine-cluster.ts';
import { examineMachine } from './doctor/examine-machine.ts';
import { type Finding, render } from './doctor/findings.ts';
import { membershipOf } from './membership.ts';
import type { Paths } from './paths.ts';
import { savedSettings } from './prepare.ts';

const TIMEOUT_MS = 10_000;

/** Findings, and how they read. */
export interface Report {
  readonly text: string;
  readonly ok: boolean;
}

/** Looks at each component: those of this machine, and what the API server knows of the others. */
export async function examine(
  paths: Paths,
  connect: (kubeconfig: string) => Promise<Client>,
  now: number,
): Promise<Report> {
  const membership = membershipOf(paths);
  const settings = membership?.settings ?? savedSettings(paths);
  const findings = await examineMachine(paths, settings, now);
  if (membership) return reportOf(findings); // A node may not look at the others.
  const client = await connect(paths.kubeconfig('admin'));
  const cluster = await examineCluster(client, now, AbortSignal.timeout(TIMEOUT_MS));
  return reportOf([...findings, ...cluster]);
}

/** Why a Pod does not run, or is not ready. */
export async function examinePod(client: Client, key: ObjectKey): Promise<Report> {
  const pod = await client.get(PODS, key);
  const fieldSelector = `involvedObject.uid=${pod.metadata.uid}`;
  const { items } = await client.list(EVENTS, { namespace: key.namespace, fieldSelector });
  const events = items.sort((a, b) => (a.lastTimestamp ?? '').localeCompare(b.lastTimestamp ?? ''));
  const name = pod.spec?.nodeName;
  const node = name ? await orUndefined(client.get(NODES, { namespace: '', name })) : undefined;
  return reportOf(diagnosePod({ pod, events, node }));
}

/** Why a Service does not answer. Looks into the kernel of this node. */
export async function examineService(
  client: Client,
  { namespace, name }: ObjectKey,
): Promise<Report> {
  const service = await client.get(SERVICES, { namespace, name });
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const [pods, slices, rules] = await Promise.all([
    client.list(PODS, { namespace }),
    client.list(ENDPOINT_SLICES, { namespace, labelSelector }),
    kernelRules(),
  ]);
  return reportOf(diagnoseService({ service, pods: pods.items, slices: slices.items, rules }));
}

function reportOf(findings: readonly Finding[]): Report {
  return { text: render(findings), ok: findings.every(({ ok }) => ok) };
}

/** What routes Services here, in whichever mode. */
async function kernelRules(): Promise<string> {
  const command = 'iptables-save; nft list ruleset; ipvsadm -Sn';
  const { stdout } = await run('sh', ['-c', `(${command}) 2>/dev/null; true`]);
  return stdout;
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (err) {
    if (isNotFound(err)) return undefined;
    throw err;
  }
}
