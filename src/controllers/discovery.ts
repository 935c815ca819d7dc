import type { ResourceType } from '../api/resource-types.ts';
import type { Client } from '../client/client.ts';

/** A kind that the server knows, in the version that the server prefers. */
export interface DiscoveredType extends ResourceType<unknown> {
  readonly verbs: readonly string[];
}

interface GroupList {
  groups: {
    name: string;
    versions: { version: string }[];
    preferredVersion?: { version: string };
  }[];
}

interface ResourceList {
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

export interface Discovery {
  readonly types: readonly DiscoveredType[];
  /** Group versions that did not answer; what they hold is not known. */
  readonly failed: readonly string[];
}

/** Every kind of the server, each once. An API group that cannot be reached does not hide the others. */
export async function discover(client: Client, signal?: AbortSignal): Promise<Discovery> {
  const { groups } = (await client.raw('GET', '/apis', undefined, signal)) as GroupList;
  const wanted = groups.map((group) => ({
    group: group.name,
    versions: preferredFirst(
      group.versions.map((v) => v.version),
      group.preferredVersion?.version,
    ),
  }));
  const failed: string[] = [];
  const lists = await Promise.all(
    [{ group: '', versions: ['v1'] }, ...wanted].map(async ({ group, versions }) => {
      const types: DiscoveredType[] = [];
      for (const version of versions) {
        const list = await read(client, group, version, signal);
        if (!list) failed.push(group === '' ? version : `${group}/${version}`);
        types.push(...(list?.resources ?? []).map((found) => typeOf(group, version, found)));
      }
      return onePerResource(types);
    }),
  );
  return { types: lists.flat(), failed };
}

async function read(
  client: Client,
  group: string,
  version: string,
  signal: AbortSignal | undefined,
): Promise<ResourceList | undefined> {
  const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  try {
    return (await client.raw('GET', path, undefined, signal)) as ResourceList;
  } catch (err) {
    if (signal?.aborted || group === '') throw err;
    return undefined; // an aggregated API that is down
  }
}

function typeOf(
  group: string,
  version: string,
  { name, kind, namespaced, verbs }: ResourceList['resources'][number],
): DiscoveredType {
  return { group, version, resource: name, kind, namespaced, verbs };
}

/** Sub-resources are left out; of several versions the first wins. */
function onePerResource(types: readonly DiscoveredType[]): DiscoveredType[] {
  const byName = new Map<string, DiscoveredType>();
  for (const type of types) {
    if (!type.resource.includes('/') && !byName.has(type.resource)) {
      byName.set(type.resource, type);
    }
  }
  return [...byName.values()];
}

function preferredFirst(versions: readonly string[], preferred: string | undefined): string[] {
  if (preferred === undefined) return [...versions];
  return [preferred, ...versions.filter((version) => version !== preferred)];
}
