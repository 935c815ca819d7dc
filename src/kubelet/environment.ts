import type { Container, Pod, Service } from '../api/types.ts';
import { errorMessage } from '../util/errors.ts';
import { fieldValue, type PodFacts, resourceValue } from './downward.ts';
import { parseEnvFile } from './env-file.ts';

/** Reads the configuration objects that a pod refers to; undefined when there is none. */
export interface ConfigReader {
  configMapData(pod: Pod, name: string): Promise<ReadonlyMap<string, Uint8Array> | undefined>;
  secretData(pod: Pod, name: string): Promise<ReadonlyMap<string, Uint8Array> | undefined>;
}

export interface EnvironmentDeps {
  config: ConfigReader;
  services(): readonly Service[];
  allocatable(): Readonly<Record<string, string>>;
  /** The text of a file in one of the pod's volumes; undefined when there is none. */
  volumeFile(volume: string, path: string): Promise<string | undefined>;
}

interface FileKeyRef {
  key: string;
  path: string;
  volumeName: string;
  optional?: boolean | undefined;
}

/** The container cannot be made as its spec asks; shown as CreateContainerConfigError. */
export class ContainerConfigError extends Error {
  override readonly name = 'ContainerConfigError';
}

type EnvVar = NonNullable<Container['env']>[number];
type Env = Map<string, string>;

/** The container's variables in their order, the pod's service variables last. */
export async function makeEnvironment(
  pod: Pod,
  container: Container,
  facts: PodFacts,
  deps: EnvironmentDeps,
): Promise<Env> {
  const serviceEnv = serviceVariables(pod, deps.services());
  const result: Env = new Map();
  for (const source of container.envFrom ?? []) await addEnvFrom(pod, source, result, deps);
  const lookUp = (name: string): string | undefined => result.get(name) ?? serviceEnv.get(name);
  for (const variable of container.env ?? []) {
    const value = await variableValue(variable, { pod, container, facts, deps, lookUp });
    if (value !== undefined) result.set(variable.name, value);
  }
  for (const [name, value] of serviceEnv) {
    if (!result.has(name)) result.set(name, value);
  }
  return result;
}

async function addEnvFrom(
  pod: Pod,
  source: NonNullable<Container['envFrom']>[number],
  result: Env,
  { config }: EnvironmentDeps,
): Promise<void> {
  const { configMapRef, secretRef, prefix = '' } = source;
  const ref = configMapRef ?? secretRef;
  if (!ref?.name) return;
  const data = configMapRef
    ? await config.configMapData(pod, ref.name)
    : await config.secretData(pod, ref.name);
  if (!data) {
    if (ref.optional) return;
    const kind = configMapRef ? 'configmap' : 'secret';
    throw new ContainerConfigError(`${kind} "${ref.name}" not found`);
  }
  for (const [key, value] of data) result.set(prefix + key, Buffer.from(value).toString('utf8'));
}

interface ValueContext {
  pod: Pod;
  container: Container;
  facts: PodFacts;
  deps: EnvironmentDeps;
  lookUp(name: string): string | undefined;
}

async function variableValue(variable: EnvVar, context: ValueContext): Promise<string | undefined> {
  const { pod, container, facts, deps, lookUp } = context;
  const { value, valueFrom } = variable;
  if (value !== undefined && value !== '') return expand(value, lookUp);
  if (!valueFrom) return value ?? '';
  if (valueFrom.fieldRef) return fieldValue(pod, valueFrom.fieldRef.fieldPath, facts);
  if (valueFrom.resourceFieldRef) {
    const ref = valueFrom.resourceFieldRef;
    const named = allContainers(pod).find((c) => c.name === ref.containerName) ?? container;
    return resourceValue(named, ref, deps.allocatable());
  }
  if (valueFrom.fileKeyRef) return fileKeyValue(valueFrom.fileKeyRef, deps);
  return keyValue(pod, valueFrom, deps.config);
}

const allContainers = (pod: Pod): Container[] => [
  ...(pod.spec?.initContainers ?? []),
  ...(pod.spec?.containers ?? []),
];

/** One variable of an env file that another container has left in a volume (KEP-3721). */
async function fileKeyValue(
  { volumeName, path, key, optional }: FileKeyRef,
  { volumeFile }: EnvironmentDeps,
): Promise<string | undefined> {
  const text = await volumeFile(volumeName, path);
  let value: string | undefined;
  try {
    value = text === undefined ? undefined : parseEnvFile(text).get(key);
  } catch (err) {
    throw new ContainerConfigError(`couldn't parse env file ${path}: ${errorMessage(err)}`);
  }
  if (value !== undefined || optional) return value;
  throw new ContainerConfigError(`environment variable key "${key}" not found in file "${path}"`);
}

async function keyValue(
  pod: Pod,
  from: NonNullable<EnvVar['valueFrom']>,
  config: ConfigReader,
): Promise<string | undefined> {
  const ref = from.configMapKeyRef ?? from.secretKeyRef;
  if (!ref?.name) return undefined;
  const data = from.configMapKeyRef
    ? await config.configMapData(pod, ref.name)
    : await config.secretData(pod, ref.name);
  const value = data?.get(ref.key);
  if (value !== undefined) return Buffer.from(value).toString('utf8');
  if (ref.optional) return undefined;
  const [kind, title] = from.configMapKeyRef ? ['configmap', 'ConfigMap'] : ['secret', 'Secret'];
  throw new ContainerConfigError(
    data
      ? `couldn't find key ${ref.key} in ${title} ${pod.metadata.namespace}/${ref.name}`
      : `${kind} "${ref.name}" not found`,
  );
}

/** Replaces `$(NAME)`; `$$` stands for `$`, and an unknown name stays as it is written. */
export function expand(text: string, lookUp: (name: string) => string | undefined): string {
  return text.replace(/\$\$|\$\(([^()]*)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return '$';
    return lookUp(name) ?? whole;
  });
}

/** Docker-link style variables of the namespace's services and of `default/kubernetes`. */
export function serviceVariables(pod: Pod, services: readonly Service[]): Env {
  const env: Env = new Map();
  const linked = pod.spec?.enableServiceLinks !== false;
  const wanted = services.filter(({ metadata, spec }) => {
    if (!spec?.clusterIP || spec.clusterIP === 'None') return false;
    if (metadata.namespace === 'default' && metadata.name === 'kubernetes') return true;
    return linked && metadata.namespace === pod.metadata.namespace;
  });
  // A service of the pod's own namespace wins over default/kubernetes, so it comes later.
  const own = pod.metadata.namespace;
  wanted.sort(
    (a, b) => Number(a.metadata.namespace === own) - Number(b.metadata.namespace === own),
  );
  for (const service of wanted) addService(env, service);
  return env;
}

function addService(env: Env, { metadata, spec }: Service): void {
  const name = envName(metadata.name);
  const host = spec?.clusterIP ?? '';
  const ports = spec?.ports ?? [];
  const first = ports[0];
  if (!first) return;
  const address = host.includes(':') ? `[${host}]` : host;
  const link = (port: { protocol?: string | undefined; port: number }): string =>
    `${(port.protocol ?? 'TCP').toLowerCase()}://${address}:${port.port}`;
  env.set(`${name}_SERVICE_HOST`, host);
  env.set(`${name}_SERVICE_PORT`, String(first.port));
  for (const port of ports) {
    if (port.name) env.set(`${name}_SERVICE_PORT_${envName(port.name)}`, String(port.port));
  }
  env.set(`${name}_PORT`, link(first));
  for (const port of ports) {
    const protocol = port.protocol ?? 'TCP';
    const prefix = `${name}_PORT_${port.port}_${protocol}`;
    env.set(prefix, link(port));
    env.set(`${prefix}_PROTO`, protocol.toLowerCase());
    env.set(`${prefix}_PORT`, String(port.port));
    env.set(`${prefix}_ADDR`, host);
  }
}

const envName = (name: string): string => name.toUpperCase().replaceAll('-', '_');
