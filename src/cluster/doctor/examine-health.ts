import { readFileSync } from 'node:fs';
import { run } from '../../host/exec.ts';
import { identifyProcess } from '../../host/processes.ts';
import { errorMessage } from '../../util/errors.ts';
import { isServing } from '../balancer.ts';
import { PORTS } from '../component-flags.ts';
import { readIfExists } from '../files.ts';
import type { Paths } from '../paths.ts';
import { lastLines } from '../prepare.ts';
import type { ClusterSettings } from '../settings.ts';
import { type ProcessStatus, statusFile } from '../supervisor.ts';
import { supervisorOf } from '../up.ts';
import { ask, type Pass } from './ask.ts';
import { bad, type Finding, good } from './findings.ts';

const RUNTIME_WITHIN_MS = 5000;
// More than that, and it does not just follow an upgrade or a drill.
const MANY_RESTARTS = 3;
// Lines of its log, in which a process says why it has ended.
const LOOKED_AT = 20;

/** Where a component tells how it is. */
interface Door {
  readonly name: string;
  readonly url: string;
}

/** The components of this machine, by their processes and by what they say of themselves. */
export async function examineHealth(
  paths: Paths,
  settings: ClusterSettings,
  { joined }: { joined: boolean },
): Promise<Finding[]> {
  const text = readIfExists(statusFile(paths.run));
  if (text === undefined) return [bad('processes', 'the cluster does not run', 'k8ts up --detach')];
  const processes = JSON.parse(text) as ProcessStatus[];
  const doors = doorsOf(settings, { joined });
  const problems = new Map(
    await Promise.all([
      runtimeProblem(paths).then((problem) => ['containerd', problem] as const),
      ...doors.map(async ({ name, url }) => [name, await problemAt(url)] as const),
    ]),
  );
  const inPods = doors.filter(({ name }) => !processes.some((one) => one.name === name));
  return [
    ...(supervisorOf(paths) ? [] : [bad('supervisor', UNATTENDED, 'k8ts up --detach')]),
    ...afterStore(processes.map((status) => processFinding(status, problems.get(status.name)))),
    ...inPods.map(({ name }) => podFinding(name, settings.nodeName, problems.get(name))),
    ...(await etcdFindings(settings)),
  ];
}

/** An API server whose etcd does not work cannot, and to start it anew would not help. Pure. */
export function afterStore(findings: readonly Finding[]): Finding[] {
  const isStoreWrong = findings.some(({ about, ok }) => about === 'etcd' && !ok);
  const next = 'put its etcd right first, which keeps all that it serves';
  return findings.map((one) =>
    isStoreWrong && one.about === 'apiserver' && !one.ok ? { ...one, next } : one,
  );
}

const UNATTENDED = 'does not run: what ends is not started again';

/** Pure. */
export function doorsOf(
  { disabled, port, store }: Pick<ClusterSettings, 'disabled' | 'port' | 'store'>,
  { joined }: { joined: boolean },
): Door[] {
  const door = (name: string, port: number, scheme: 'http' | 'https', path = '/healthz') => ({
    name,
    url: `${scheme}://127.0.0.1:${port}${path}`,
  });
  return [
    door('kubelet', PORTS.kubeletHealth, 'http'),
    ...(disabled.includes('kube-proxy') ? [] : [door('proxy', PORTS.proxyHealth, 'http')]),
    ...(joined
      ? []
      : [
          door('apiserver', port, 'https', '/livez'),
          door('controller-manager', PORTS.controllerManager, 'https'),
          door('scheduler', PORTS.scheduler, 'https'),
        ]),
    ...(joined || store !== 'stacked' ? [] : [door('etcd', PORTS.etcdMetrics, 'http', '/health')]),
  ];
}

async function problemAt(
  url: string,
  passOf: () => Pass = () => ({}),
): Promise<string | undefined> {
  try {
    const { status, body } = await ask(url, passOf());
    // Strangers may be refused an answer, and that is one too.
    return isServing(status) ? undefined : `says ${status} at ${url}: ${reasonIn(body)}`;
  } catch (err) {
    return `does not answer at ${url}: ${errorMessage(err)}`;
  }
}

/** Of what a health endpoint says, that which is not well: lines `[-]NAME failed`, or the reason in etcd's answer. Pure. */
export function reasonIn(body: string): string {
  const failed = [...body.matchAll(/^\[-\](.+)$/gm)].map(([, line]) => line);
  if (failed.length > 0) return failed.join('; ');
  const reason = /"reason":"([^"]+)"/.exec(body)?.[1];
  if (reason === 'RAFT NO LEADER') {
    return 'no leader, since most of its members cannot be reached: nothing can be written';
  }
  if (body.includes('"lastUpdated"')) return 'the kernel has not got all that the API server tells';
  return reason ?? body.trim().split('\n').slice(0, 3).join(' ');
}

/** The runtime has no port: it is asked by its socket. */
async function runtimeProblem({ containerd }: Paths): Promise<string | undefined> {
  const words = ['--address', containerd.socket, '--connect-timeout', '3s', 'version'];
  try {
    await run('ctr', words, { timeoutMs: RUNTIME_WITHIN_MS });
    return undefined;
  } catch {
    return `does not answer at ${containerd.socket}`;
  }
}

/** Pure but for its look at the process. */
function processFinding(status: ProcessStatus, problem: string | undefined): Finding {
  const { name, pid, restarts, lastEnd, log } = status;
  const tail = log.startsWith('journalctl') ? `${log} -n 50` : `tail ${log}`;
  const ended = lastEnd ?? 'unknown';
  if (pid === undefined || identifyProcess(pid) === undefined) {
    return bad(name, `has ended: ${ended}${lastWordsIn(log)}`, tail);
  }
  if (problem !== undefined) {
    const next = isStopped(pid) ? `kill -CONT ${pid}` : `${tail}; kill ${pid} has it started anew`;
    return bad(name, `runs as process ${pid}, but ${problem}`, next);
  }
  return restarts > MANY_RESTARTS
    ? bad(name, `has been started again ${restarts} times: ${ended}${lastWordsIn(log)}`, tail)
    : good(name, `runs as process ${pid}`);
}

function isStopped(pid: number): boolean {
  return /^State:\s+T/m.test(readIfExists(`/proc/${pid}/status`) ?? '');
}

/** What a process that has ended said last, where its log is a file. */
function lastWordsIn(log: string): string {
  const words = lastLines(log, LOOKED_AT).split('\n').map(wordsOf);
  const last = words.findLast((one) => one !== undefined);
  return last === undefined ? '' : `; its last words: ${last}`;
}

/** Of a line of a log, if it tells of something that went wrong. Pure. */
export function wordsOf(line: string): string | undefined {
  if (!line.startsWith('{')) return /^k8ts: |error|fatal|panic/i.test(line) ? line : undefined;
  try {
    const { level = 0, msg = '', err } = JSON.parse(line);
    if (typeof level === 'string' ? !/^(error|fatal|panic)$/.test(level) : level < 50) return;
    const cause = typeof err === 'object' ? err?.message : err;
    return cause ? `${msg}: ${cause}` : msg;
  } catch {
    return undefined;
  }
}

/** Of a component that is no process of ours but runs in a Pod of this node. */
function podFinding(name: string, node: string, problem: string | undefined): Finding {
  if (problem === undefined) return good(name, 'is well, in its Pod');
  const pod = name === 'etcd' ? name : `kube-${name}`;
  const next = `kubectl -n kube-system logs ${pod}-${node}; its files: /var/log/pods`;
  return bad(name, problem, next);
}

/** An etcd of the operator's own: each of its members. */
export async function etcdFindings({
  externalEtcd,
}: Pick<ClusterSettings, 'externalEtcd'>): Promise<Finding[]> {
  const { servers = '', certFile, keyFile } = externalEtcd ?? {};
  const text = (file: string | undefined) => (file ? readFileSync(file, 'utf8') : undefined);
  // A file that is missing is what is wrong, not the end of looking.
  const passOf = () => ({ cert: text(certFile), key: text(keyFile) });
  const urls = servers.split(',').filter(Boolean);
  return Promise.all(
    urls.map(async (url) => {
      const problem = await problemAt(new URL('/health', url).href, passOf);
      return problem === undefined
        ? good('etcd', `${url} is well`)
        : bad('etcd', problem, `etcdctl --endpoints ${servers} endpoint status; its log there`);
    }),
  );
}
