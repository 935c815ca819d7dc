import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../api/types.ts';
import { parseYaml } from '../api/yaml.ts';
import { loadKubeconfig } from '../client/kubeconfig.ts';
import { RestClient } from '../client/rest-client.ts';
import { readCertificate } from '../pki/certificate.ts';
import { isObject } from '../util/json.ts';
import type { ClusterFacts } from './cis.ts';
import { type ClusterObjects, readObjects } from './cis-objects.ts';
import { readIfExists } from './files.ts';
import type { Paths } from './paths.ts';
import { type ProcessStatus, statusFile } from './supervisor.ts';

/** Looks at the cluster of this machine, and asks its API server. Throws when none runs. */
export async function readCluster(
  paths: Paths,
): Promise<Omit<ClusterFacts, 'auditLevel' | 'podSecurityDefault'>> {
  const text = readIfExists(statusFile(paths.run));
  if (text === undefined) throw new Error('The cluster is not running; see: k8ts up');
  const access = await loadKubeconfig(paths.kubeconfig('admin'));
  const client = new RestClient(access, { userAgent: 'k8ts' });
  let objects: ClusterObjects;
  try {
    objects = await readObjects(client);
  } finally {
    client.close();
  }
  const flags = new Map([
    ...flagsInPods(objects.pods),
    ...(JSON.parse(text) as ProcessStatus[]).flatMap(({ name, pid }) =>
      pid === undefined ? [] : [[name, flagsOf(pid)] as const],
    ),
  ]);
  const apiserver = flags.get('apiserver') ?? new Map<string, string>();
  return {
    ...{ flags, objects, file: (name: string) => fileFacts(paths, name) },
    authorizers: await authorizersOf(apiserver),
    encryption: await encryptionOf(apiserver.get('encryption-provider-config')),
    administratorGroups: await groupsOf(access.certificate),
  };
}

/** Components that run as Pods: those of static Pods, and the proxy of a DaemonSet. */
function flagsInPods(pods: readonly Pod[]): [string, ReadonlyMap<string, string>][] {
  return pods.flatMap(({ metadata, spec }): [string, ReadonlyMap<string, string>][] => {
    const name = metadata.labels?.component ?? metadata.labels?.['k8s-app'];
    const [container] = spec?.containers ?? [];
    if (metadata.namespace !== 'kube-system' || name === undefined || !container) return [];
    const words = [...(container.command ?? []), ...(container.args ?? [])];
    return [[name.replace(/^kube-/, ''), flagsIn(words.join('\0'))]];
  });
}

function flagsOf(pid: number): ReadonlyMap<string, string> {
  return flagsIn(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
}

function flagsIn(command: string): ReadonlyMap<string, string> {
  const found = [...command.matchAll(/--([a-z0-9-]+)(?:=([^\0 ]*))?/g)];
  return new Map(found.map(([, name = '', value = 'true']) => [name, value]));
}

/** Of `pki/*.key` what the worst of them has. */
function fileFacts(paths: Paths, name: string): { mode: number; uid: number } | undefined {
  const [directory = '', suffix] = name.split('/*');
  if (suffix !== undefined) {
    const all = readdirSync(join(paths.config, directory), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith(suffix))
      .flatMap((file) => fileFacts(paths, join(directory, file)) ?? []);
    const mode = all.reduce((bits, one) => bits | one.mode, 0);
    return { mode, uid: Math.max(0, ...all.map(({ uid }) => uid)) };
  }
  const path = locate(paths, name);
  if (!existsSync(path)) return undefined;
  const { mode, uid } = statSync(path);
  return { mode: mode & 0o777, uid };
}

/** The one network configuration has a name of its own. */
function locate(paths: Paths, name: string): string {
  if (name === 'store') return paths.store;
  if (name === 'etcd-data') return paths.etcd;
  if (!name.startsWith('cni/')) return join(paths.config, name);
  const [first = 'none'] = existsSync(paths.cni.config) ? readdirSync(paths.cni.config) : [];
  return join(paths.cni.config, first);
}

async function authorizersOf(flags: ReadonlyMap<string, string>): Promise<string[]> {
  const file = flags.get('authorization-config');
  if (file === undefined) return (flags.get('authorization-mode') ?? 'Node,RBAC').split(',');
  const configuration = await parseYaml(await readFile(file, 'utf8'));
  const list = isObject(configuration) ? configuration.authorizers : [];
  return (list as { type: string }[]).map(({ type }) => type);
}

interface EncryptedResources {
  readonly resources: readonly string[];
  readonly providers: readonly object[];
}

/** The first provider of Secrets. */
async function encryptionOf(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const configuration = await parseYaml(await readFile(file, 'utf8'));
  const list = (isObject(configuration) ? configuration.resources : []) as EncryptedResources[];
  const found = list.find(({ resources }) =>
    resources.some((name) => ['secrets', '*.', '*.*'].includes(name)),
  );
  const [name] = Object.keys(found?.providers[0] ?? {});
  return name === 'identity' ? undefined : name;
}

type Certificate = Awaited<ReturnType<typeof loadKubeconfig>>['certificate'];

async function groupsOf(certificate: Certificate): Promise<readonly string[]> {
  if (!certificate || 'provide' in certificate) return [];
  const pem = 'data' in certificate ? certificate.data : await readFile(certificate.file, 'utf8');
  return readCertificate(pem).organizations;
}
