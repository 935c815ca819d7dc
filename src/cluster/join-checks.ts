import { request } from 'node:https';
import { NODES } from '../api/resource-types.ts';
import { RestClient } from '../client/rest-client.ts';
import { run } from '../host/exec.ts';
import { machineAddresses } from '../host/machine.ts';
import { isReady } from './readiness.ts';

/** A certificate is good from the moment of its issue: a clock that is behind has not reached that. */
const MAX_SKEW_MS = 30_000;
const ANSWER_WITHIN_MS = 10_000;

/** Why this machine cannot join a cluster whose clock shows another time, if it cannot. Pure. */
export function clockProblem(server: string, theirs: number, ours: number): string | undefined {
  const seconds = Math.round((ours - theirs) / 1000);
  if (Number.isNaN(seconds) || Math.abs(ours - theirs) <= MAX_SKEW_MS) return undefined;
  const where = seconds > 0 ? 'ahead of' : 'behind';
  return `The clock of this machine is ${Math.abs(seconds)} s ${where} that of ${server}: certificates and tokens would be refused; set both, e.g. with timedatectl set-ntp true`;
}

/** Throws when the clocks of this machine and of a server differ. Of a server that says no time nothing is known. */
export async function assertClocksAgree(server: string): Promise<void> {
  const theirs = await timeOf(server);
  const problem = clockProblem(server, theirs, Date.now());
  if (problem !== undefined) throw new Error(problem);
}

/** The time by the header Date. Who the server is shows later; a wrong time only keeps us from joining. */
function timeOf(server: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { rejectUnauthorized: false, agent: false, timeout: ANSWER_WITHIN_MS };
    const asking = request(new URL('/healthz', server), options, (response) => {
      response.resume();
      resolve(Date.parse(response.headers.date ?? ''));
    });
    asking.once('timeout', () => asking.destroy(new Error('no answer within 10 s')));
    asking.once('error', reject);
    asking.end();
  });
}

/** Throws when a machine of the cluster has the name already and is well: two kubelets would fight for one Node. */
export async function assertNameIsFree(
  { server, ca, token }: { server: string; ca: string; token: string },
  name: string,
): Promise<void> {
  const member = new RestClient({ server, ca: { data: ca }, token: { data: token } });
  try {
    const fieldSelector = `metadata.name=${name}`;
    const { items } = await member.list(NODES, { fieldSelector });
    if (!items.some(isReady)) return;
  } finally {
    member.close();
  }
  throw new Error(
    `The cluster has a node ${name}, and it is Ready: choose another name with --node-name, or take that one out first (k8ts leave there, kubectl delete node ${name})`,
  );
}

/**
 * The address under which the others will know this machine: the one that the way to the server begins at, which on machines
 * with several interfaces need not be that of the default route.
 */
export async function addressTowards(server: string): Promise<string | undefined> {
  const { hostname } = new URL(server);
  const found = await run('getent', ['ahostsv4', hostname], { acceptExitCodes: [0, 1, 2] });
  const [target] = found.stdout.split(/\s/);
  if (!target) return undefined;
  const route = await run('ip', ['route', 'get', target], { acceptExitCodes: [0, 1, 2] });
  return sourceIn(route.stdout);
}

/** Reads `ip route get`. Pure. */
export function sourceIn(route: string): string | undefined {
  return / src (\S+)/.exec(route)?.[1];
}

/** Throws for an address that is no interface's: the API server could not reach the kubelet there. */
export function assertOwnAddress(nodeIp: string, addresses = machineAddresses()): void {
  if (addresses.includes(nodeIp)) return;
  throw new Error(
    `No interface of this machine has the address ${nodeIp}; it has ${addresses.join(', ')}: choose one with --node-ip`,
  );
}
