import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isConflict } from '../api/errors.ts';
import { keyString, type ResourceType } from '../api/resource-types.ts';
import type { KubeObject } from '../api/types.ts';
import { parseYamlDocuments } from '../api/yaml.ts';
import type { Client } from '../client/client.ts';
import { errorMessage } from '../util/errors.ts';
import { type ClusterSettings, K8TS_IMAGE, OPTIONAL_PARTS } from './settings.ts';

/** What the cluster runs on itself, as manifests: one file an addon, named after it. */
const ADDONS = fileURLToPath(new URL('../../deploy/addons/', import.meta.url));
const FIELD_MANAGER = 'k8ts';

/** The addons that there are. */
export function addonNames(): string[] {
  return readdirSync(ADDONS)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/** Why what bears these names cannot be left out, if it cannot. */
export function unknownPart(disabled: readonly string[]): string | undefined {
  const known: string[] = [...addonNames(), ...OPTIONAL_PARTS];
  const unknown = disabled.find((name) => !known.includes(name));
  if (unknown === undefined) return undefined;
  return `There is no ${unknown} to leave out; there are: ${known.join(', ')}`;
}

/** The objects of an addon as this cluster needs them. */
export async function addonObjects(name: string, settings: ClusterSettings): Promise<KubeObject[]> {
  const text = readFileSync(`${ADDONS}${name}.yaml`, 'utf8');
  const documents = await parseYamlDocuments(fillIn(text, settings));
  return documents as KubeObject[];
}

/** Puts the settings of the cluster in place of `$NAME`. Pure. */
export function fillIn(manifest: string, settings: ClusterSettings): string {
  const values: Record<string, string> = {
    DNS_IP: settings.dnsIp,
    DNS_DOMAIN: settings.domain,
    K8TS_IMAGE,
  };
  return manifest.replace(/\$([A-Z][A-Z0-9_]*)/g, (_whole, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`An addon's manifest asks for $${name}: not known`);
    return value;
  });
}

/**
 * Brings the wanted addons into the cluster by server-side apply: nothing changes where all is there. An object of which
 * somebody else has taken a field over is left to them. Answers a line for each object that could not be applied.
 */
export async function applyAddons(
  client: Client,
  settings: ClusterSettings,
  signal: AbortSignal,
): Promise<string[]> {
  const types = new ResourceTypes(client);
  const problems: string[] = [];
  for (const addon of addonNames().filter((name) => !settings.disabled.includes(name))) {
    for (const object of await addonObjects(addon, settings)) {
      signal.throwIfAborted();
      const { name = '', namespace = '' } = object.metadata;
      const key = { namespace, name };
      try {
        const type = await types.of(object, signal);
        const patch = { type: 'apply' as const, body: object };
        await client.patch(type, key, patch, { fieldManager: FIELD_MANAGER });
      } catch (err) {
        signal.throwIfAborted();
        const why = isConflict(err) ? 'is left as others have changed it' : 'could not be applied';
        const what = `${object.kind} ${keyString(key)} of addon ${addon}`;
        problems.push(`${what} ${why}: ${errorMessage(err)}`);
      }
    }
  }
  return problems;
}

interface ResourceList {
  readonly resources: readonly { name: string; kind: string; namespaced: boolean }[];
}

/** Kind → path, as the API server's discovery has it. Each group is asked for once. */
class ResourceTypes {
  readonly #client: Client;
  readonly #lists = new Map<string, ResourceList>();

  constructor(client: Client) {
    this.#client = client;
  }

  async of({ apiVersion, kind }: KubeObject, signal: AbortSignal): Promise<ResourceType> {
    const { resources } = this.#lists.get(apiVersion) ?? (await this.#read(apiVersion, signal));
    const found = resources.find((entry) => entry.kind === kind && !entry.name.includes('/'));
    if (!found) throw new Error(`The API server does not know ${apiVersion} ${kind}`);
    const [version = '', group = ''] = apiVersion.split('/').reverse();
    return { group, version, kind, resource: found.name, namespaced: found.namespaced };
  }

  async #read(apiVersion: string, signal: AbortSignal): Promise<ResourceList> {
    const path = `/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}`;
    const list = (await this.#client.raw('GET', path, undefined, signal)) as ResourceList;
    this.#lists.set(apiVersion, list);
    return list;
  }
}
