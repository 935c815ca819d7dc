import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseYaml } from '../../api/yaml.ts';
import { errnoOf } from '../../util/errors.ts';
import { isObject } from '../../util/json.ts';
import type { ContainerConfig, Mount } from './runtime.ts';

/** What a device needs in a container. https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md */
interface Edits {
  readonly env?: readonly string[];
  readonly deviceNodes?: readonly { path: string; hostPath?: string; permissions?: string }[];
  readonly mounts?: readonly CdiMount[];
  readonly [other: string]: unknown;
}

interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly type?: string;
  readonly options?: readonly string[];
}

interface Spec {
  readonly kind?: string;
  readonly devices?: readonly { name: string; containerEdits?: Edits }[];
  readonly containerEdits?: Edits;
}

// Of two files that have a device, the later one counts.
const DIRECTORIES = ['/etc/cdi', '/var/run/cdi'];
const KNOWN = new Set(['env', 'deviceNodes', 'mounts']);
// The engine makes the node as the host has it: what says the same about it once more changes nothing.
const KNOWN_OF_NODES = new Set(['path', 'hostPath', 'permissions', 'type', 'major', 'minor']);
// What an engine does without being told.
const USUAL_OPTIONS = new Set(['rw', 'bind', 'rbind', 'private', 'rprivate']);
const PROPAGATIONS: Readonly<Record<string, NonNullable<Mount['propagation']>>> = {
  slave: 'PROPAGATION_HOST_TO_CONTAINER',
  rslave: 'PROPAGATION_HOST_TO_CONTAINER',
  shared: 'PROPAGATION_BIDIRECTIONAL',
  rshared: 'PROPAGATION_BIDIRECTIONAL',
};

/**
 * The container with its CDI devices as variables, nodes and mounts, for engines that know nothing of them. Throws when a
 * device is not there, or needs what cannot be said to such an engine.
 */
export async function injectCdi(
  { CDIDevices = [], ...config }: ContainerConfig,
  directories: readonly string[] = DIRECTORIES,
): Promise<ContainerConfig> {
  const names = CDIDevices.map(({ name }) => name);
  const specs = names.length === 0 ? [] : await readSpecs(directories);
  const missing = names.filter((name) => editsOf(specs, name) === undefined);
  if (missing.length > 0) {
    throw new Error(`CDI device injection failed: unresolvable CDI devices ${missing.join(', ')}`);
  }
  const edits = [...new Set(names.flatMap((name) => editsOf(specs, name) ?? []))];
  const [impossible] = edits.flatMap(impossibleIn);
  if (impossible !== undefined) {
    throw new Error(`CDI device injection failed: this engine cannot do ${impossible}`);
  }
  return edits.reduce(withEdits, config);
}

/** What the device needs, after what all devices of its file need. */
function editsOf(specs: readonly Spec[], name: string): Edits[] | undefined {
  const [kind, device] = name.split('=');
  for (const { devices = [], containerEdits = {}, ...spec } of specs) {
    const found = spec.kind === kind && devices.find((one) => one.name === device);
    if (found) return [containerEdits, found.containerEdits ?? {}];
  }
  return undefined;
}

/** What cannot be said to an engine that knows nothing of CDI. */
function impossibleIn({ deviceNodes = [], mounts = [], ...rest }: Edits): string[] {
  const nodeFields = deviceNodes.flatMap((node) => Object.keys(node));
  return [
    ...Object.keys(rest).filter((field) => !KNOWN.has(field)),
    ...nodeFields.filter((field) => !KNOWN_OF_NODES.has(field)).map((f) => `deviceNodes.${f}`),
    ...mounts.flatMap(({ type = 'bind', options = [], containerPath }) => [
      ...(['bind', 'none', ''].includes(type) ? [] : [`a mount of ${type} at ${containerPath}`]),
      ...options
        .filter((option) => !isPossible(option))
        .map((option) => `the option ${option} of the mount at ${containerPath}`),
    ]),
  ];
}

const isPossible = (option: string): boolean =>
  option === 'ro' || USUAL_OPTIONS.has(option) || PROPAGATIONS[option] !== undefined;

function mountOf({ hostPath, containerPath, options = [] }: CdiMount): Mount {
  const propagation = options.map((option) => PROPAGATIONS[option]).find((p) => p !== undefined);
  const readonly = options.includes('ro');
  return { containerPath, hostPath, readonly, ...(propagation ? { propagation } : {}) };
}

function withEdits(config: ContainerConfig, { env = [], deviceNodes = [], mounts = [] }: Edits) {
  return {
    ...config,
    envs: [
      ...config.envs,
      ...env.map((text) => {
        const at = text.indexOf('=');
        return { key: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) };
      }),
    ],
    devices: [
      ...config.devices,
      ...deviceNodes.map(({ path, hostPath = path, permissions = 'rwm' }) => ({
        ...{ containerPath: path, hostPath, permissions },
      })),
    ],
    mounts: [...config.mounts, ...mounts.map(mountOf)],
  };
}

/** Later ones first. */
async function readSpecs(directories: readonly string[]): Promise<Spec[]> {
  const specs: Spec[] = [];
  for (const directory of directories) {
    for (const name of await specFiles(directory)) {
      specs.unshift(await readSpec(join(directory, name)));
    }
  }
  return specs;
}

async function readSpec(file: string): Promise<Spec> {
  try {
    const spec = await parseYaml(await readFile(file, 'utf8'));
    if (isObject(spec)) return spec as Spec;
  } catch (cause) {
    throw new Error(`CDI device injection failed: ${file} cannot be read`, { cause });
  }
  throw new Error(`CDI device injection failed: ${file} holds no CDI specification`);
}

async function specFiles(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names.filter((name) => /\.(json|yaml)$/.test(name)).sort();
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return [];
    throw err;
  }
}
