import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import type { ExtenderConfig, TlsFiles } from './config.ts';
import type { Extender } from './extender.ts';
import { MAX_NODE_SCORE } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { type Status, unresolvable, unschedulable } from './status.ts';
import type { Victims } from './victims.ts';

type Fields = Record<string, unknown>;

/** Extenders score from 0 to this. */
const MAX_PRIORITY = 10;
/** An answer names nodes; more than this is no answer. */
const MAX_ANSWER = 64 * 1024 * 1024;

/** An extender behind HTTP (kube-scheduler extender/v1). Reads its TLS files now. */
export async function httpExtender(config: ExtenderConfig): Promise<Extender> {
  const tls = await tlsOptions(config.tls);
  const call = (verb: string, body: object) =>
    post(`${config.urlPrefix.replace(/\/+$/, '')}/${verb}`, body, {
      tls,
      timeoutMs: config.timeoutMs,
    });
  const managed = new Set(config.managedResources.map(({ name }) => name));
  const shown = (nodes: readonly NodeInfo[]): Fields =>
    config.nodeCacheCapable
      ? { nodenames: nodes.map((node) => node.name) }
      : { nodes: { metadata: {}, items: nodes.map(({ node }) => node) } };
  return {
    name: config.urlPrefix,
    ignorable: config.ignorable,
    filters: config.filterVerb !== '',
    prioritizes: config.prioritizeVerb !== '',
    binds: config.bindVerb !== '',
    preempts: config.preemptVerb !== '',
    isInterested: (pod) => managed.size === 0 || usesAny(pod, managed),

    async filter(pod, nodes) {
      const answer = await call(config.filterVerb, { pod: pod.pod, ...shown(nodes) });
      return readFilterAnswer(config.urlPrefix, answer as Fields, nodes);
    },

    async prioritize(pod, nodes) {
      const answer = await call(config.prioritizeVerb, { pod: pod.pod, ...shown(nodes) });
      const scores = new Map<string, number>();
      for (const { host, score } of asList(answer)) {
        if (typeof score !== 'number' || score < 0 || score > MAX_PRIORITY) {
          throw new Error(`extender ${config.urlPrefix} gives ${host} the score ${score}`);
        }
        scores.set(String(host), score * config.weight * (MAX_NODE_SCORE / MAX_PRIORITY));
      }
      return scores;
    },

    async bind({ namespace, uid, pod }, nodeName) {
      const { name } = pod.metadata;
      const args = { podName: name, podNamespace: namespace, podUID: uid, node: nodeName };
      fail((await call(config.bindVerb, args)) as Fields);
    },

    async preempt(pod, candidates) {
      const answer = await call(config.preemptVerb, {
        pod: pod.pod,
        ...proposal(candidates, config),
      });
      return readPreemptAnswer(config.urlPrefix, answer as Fields, candidates);
    },
  };
}

function usesAny({ pod }: PodInfo, managed: ReadonlySet<string>): boolean {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return containers.some(({ resources }) =>
    [...Object.keys(resources?.requests ?? {}), ...Object.keys(resources?.limits ?? {})].some(
      (name) => managed.has(name),
    ),
  );
}

function fail(answer: Fields): void {
  if (typeof answer?.error === 'string' && answer.error !== '') throw new Error(answer.error);
}

function readFilterAnswer(
  extender: string,
  answer: Fields,
  nodes: readonly NodeInfo[],
): { nodes: NodeInfo[]; rejections: ReadonlyMap<string, Status> } {
  fail(answer);
  const known = new Map(nodes.map((node) => [node.name, node]));
  const full = (answer.nodes as { items?: { metadata?: { name?: string } }[] } | undefined)?.items;
  const names =
    (answer.nodenames as string[] | undefined) ?? full?.map((n) => n.metadata?.name ?? '');
  const kept = (names ?? []).map((name) => {
    const node = known.get(name);
    if (node) return node;
    throw new Error(
      `extender "${extender}" claims a filtered node "${name}" which is not found in the input node list`,
    );
  });
  const rejections = new Map<string, Status>();
  const note = (field: unknown, status: (reason: string) => Status) => {
    for (const [name, reason] of Object.entries((field as Record<string, string>) ?? {})) {
      rejections.set(name, { ...status(reason), plugin: extender });
    }
  };
  note(answer.failedNodes, unschedulable);
  note(answer.failedAndUnresolvableNodes, unresolvable);
  return { nodes: kept, rejections };
}

function proposal(candidates: readonly Victims[], { nodeCacheCapable }: ExtenderConfig): Fields {
  const entries = candidates.map(({ nodeName, pods, pdbViolations }) => [
    nodeName,
    {
      pods: nodeCacheCapable ? pods.map(({ uid }) => ({ uid })) : pods.map(({ pod }) => pod),
      numPDBViolations: pdbViolations,
    },
  ]);
  const key = nodeCacheCapable ? 'nodeNameToMetaVictims' : 'nodeNameToVictims';
  return { [key]: Object.fromEntries(entries) };
}

/** Only victims that we proposed: an extender may spare, never add. */
function readPreemptAnswer(
  extender: string,
  answer: Fields,
  candidates: readonly Victims[],
): readonly Victims[] {
  fail(answer);
  const kept = (answer.nodeNameToMetaVictims ?? {}) as Record<
    string,
    { pods?: { uid?: string }[]; numPDBViolations?: number }
  >;
  return Object.entries(kept).map(([nodeName, victims]) => {
    const proposed = candidates.find((candidate) => candidate.nodeName === nodeName);
    if (!proposed)
      throw new Error(
        `extender "${extender}" wants to preempt on "${nodeName}", which was not proposed`,
      );
    const uids = new Set((victims.pods ?? []).map(({ uid }) => uid));
    const pods = proposed.pods.filter(({ uid }) => uids.has(uid));
    return { nodeName, pods, pdbViolations: victims.numPDBViolations ?? proposed.pdbViolations };
  });
}

function asList(answer: unknown): { host?: unknown; score?: unknown }[] {
  if (Array.isArray(answer)) return answer as { host?: unknown; score?: unknown }[];
  throw new Error('An extender answered priorities that are no list');
}

async function tlsOptions(files: TlsFiles): Promise<SecureContextOptions & Fields> {
  const read = async (file: string) => (file === '' ? undefined : await readFile(file, 'utf8'));
  const [ca, cert, key] = await Promise.all(
    [files.caFile, files.certFile, files.keyFile].map(read),
  );
  return {
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    ...(files.serverName ? { servername: files.serverName } : {}),
    ...(files.insecure ? { rejectUnauthorized: false } : {}),
  };
}

/** POSTs JSON. Redirects are failures, and the whole exchange must end within `timeoutMs`. */
function post(
  url: string,
  body: object,
  options: { tls: Fields; timeoutMs: number },
): Promise<unknown> {
  const dial = url.startsWith('https:') ? httpsRequest : httpRequest;
  const signal = AbortSignal.timeout(options.timeoutMs);
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const request = dial(url, { method: 'POST', headers, signal, ...options.tls }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_ANSWER) response.destroy(new Error(`The answer of ${url} is too long`));
      });
      response.on('end', () => {
        if (response.statusCode !== 200) {
          reject(new Error(`failed ${url}: status code ${response.statusCode}`));
          return;
        }
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (err) {
          reject(new Error(`${url} did not answer JSON`, { cause: err }));
        }
      });
    });
    request.on('error', (err) =>
      reject(signal.aborted ? new Error(`${url} timed out`, { cause: err }) : err),
    );
    request.end(JSON.stringify(body));
  });
}
