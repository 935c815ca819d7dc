import { ApiError, isNotFound } from '../api/errors.ts';
import { isPodReady } from '../api/pods.ts';
import { LEASES, NODES, type ObjectKey, PODS, SERVICES } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { localServer } from './components.ts';
import { diagnoseAbsence, diagnoseMakers } from './doctor/diagnose-makers.ts';
import { diagnosePod } from './doctor/diagnose-pod.ts';
import { diagnoseService } from './doctor/diagnose-service.ts';
import {
  accessFinding,
  apiFinding,
  examineCluster,
  nodeFinding,
} from './doctor/examine-cluster.ts';
import { examineMachine } from './doctor/examine-machine.ts';
import { bad, type Finding, render } from './doctor/findings.ts';
import { absenceFacts, eventsOf, podsOf, serviceFacts } from './doctor/gather.ts';
import { type Membership, membershipOf } from './membership.ts';
import type { Paths } from './paths.ts';
import { savedSettings } from './prepare.ts';

/** Findings, and how they read. */
export interface Report {
  readonly text: string;
  readonly ok: boolean;
}

export type Connect = (kubeconfig: string) => Promise<Client>;

/** Looks at each component: those of this machine, and what the API server knows of the others. */
export async function examine(paths: Paths, connect: Connect, now: number): Promise<Report> {
  return reportOf(await examineAll(paths, connect, now));
}

async function examineAll(paths: Paths, connect: Connect, now: number): Promise<Finding[]> {
  const membership = membershipOf(paths);
  const settings = membership?.settings ?? savedSettings(paths);
  const joined = membership !== undefined && membership.controlPlane !== true;
  const [machine, cluster] = await Promise.all([
    examineMachine(paths, settings, { now, joined }),
    joined
      ? examineWay(paths, membership, { connect, now })
      : examineCluster({
          client: await connect(paths.kubeconfig('admin')),
          server: localServer(settings),
          ...{ settings, now },
        }),
  ]);
  return [...machine, ...cluster];
}

/** What a node that has joined can see: the way to the API server, and itself. It may not look at the others. */
async function examineWay(
  paths: Paths,
  { settings }: Membership,
  { connect, now }: { connect: Connect; now: number },
): Promise<Finding[]> {
  const api = await apiFinding(localServer(settings));
  if (!api.ok) return [api];
  try {
    const client = await connect(paths.kubeconfig('kubelet'));
    const { nodeName: name } = settings;
    const [node, lease] = await Promise.all([
      client.get(NODES, { namespace: '', name }),
      client.get(LEASES, { namespace: 'kube-node-lease', name }),
    ]);
    return [api, ...nodeFinding(node, lease, now)];
  } catch (err) {
    return [api, accessFinding(err)];
  }
}

/** A thing that somebody misses. */
interface Subject extends ObjectKey {
  /** Of a Service: the Pod that cannot connect. */
  readonly from?: ObjectKey | undefined;
}

/** Follows a symptom. When not even the API server answers, that is the cause: everything is looked at then. */
export async function examineSubject(
  paths: Paths,
  connect: Connect,
  { look, subject, now }: { look: Look; subject: Subject; now: number },
): Promise<Report> {
  const api = await apiFinding(localServer(savedSettings(paths)));
  if (!api.ok) return reportOf(await wrongIn(paths, connect, now, api));
  try {
    return reportOf(await look(await connect(paths.kubeconfig('admin')), subject, paths));
  } catch (err) {
    if (err instanceof ApiError && err.code !== 401) throw err;
    return reportOf(await wrongIn(paths, connect, now, accessFinding(err)));
  }
}

/** What is wrong with the cluster as a whole, or else what was found already. */
async function wrongIn(
  paths: Paths,
  connect: Connect,
  now: number,
  known: Finding,
): Promise<Finding[]> {
  const wrong = (await examineAll(paths, connect, now)).filter(({ ok }) => !ok);
  return wrong.length > 0 ? wrong : [known];
}

type Look = (client: Client, subject: Subject, paths: Paths) => Promise<Finding[]>;

/** Why a Pod is not there, does not run, or is not ready. */
export async function examinePod(client: Client, key: ObjectKey): Promise<Finding[]> {
  const pod = await orUndefined(client.get(PODS, key));
  if (pod) return podFindings(client, pod);
  // Perhaps it is the name of what makes Pods, or of one that is yet to be made.
  const facts = await absenceFacts(client, key);
  const makers = diagnoseMakers(facts);
  const own = podsOf(facts);
  const waiting = own.find((one) => !isPodReady(one)) ?? own[0];
  if (!waiting || makers.some(({ ok }) => !ok)) return diagnoseAbsence(facts);
  return [...makers, ...(await podFindings(client, waiting))];
}

async function podFindings(client: Client, pod: Pod): Promise<Finding[]> {
  const events = await eventsOf(client, pod);
  const name = pod.spec?.nodeName;
  const node = name ? await orUndefined(client.get(NODES, { namespace: '', name })) : undefined;
  return diagnosePod({ pod, events, node });
}

/** Why a Service does not answer. Looks into the kernel of this node. */
export async function examineService(
  client: Client,
  subject: Subject,
  paths: Paths,
): Promise<Finding[]> {
  const { namespace, name, from } = subject;
  const service = await orUndefined(client.get(SERVICES, { namespace, name }));
  if (!service) {
    return [bad('service', `${namespace} has no Service ${name}`, 'kubectl get services -A')];
  }
  return diagnoseService(
    await serviceFacts(client, { service, from, settings: savedSettings(paths) }),
  );
}

function reportOf(findings: readonly Finding[]): Report {
  return { text: render(findings), ok: findings.every(({ ok }) => ok) };
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (err) {
    if (isNotFound(err)) return undefined;
    throw err;
  }
}
