import { compareText } from './api-groups.ts';
import type {
  DiscoveredGroup,
  DiscoveredResource,
  DiscoveredSubresource,
} from './discovery-groups.ts';

/** /api: the versions of the core group. */
export function apiVersions(core: readonly DiscoveredGroup[], serverAddress: string): unknown {
  return {
    kind: 'APIVersions',
    versions: core.flatMap(({ versions }) => versions.map(({ version }) => version)),
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** /apis */
export function apiGroupList(groups: readonly DiscoveredGroup[]): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: current(groups).map(groupBody) };
}

/** /apis/GROUP */
export function apiGroup(groups: readonly DiscoveredGroup[], name: string): unknown {
  const group = current(groups).find((g) => g.name === name);
  return group && { kind: 'APIGroup', apiVersion: 'v1', ...groupBody(group) };
}

/** The plain documents only tell of servers that answer. */
function current(groups: readonly DiscoveredGroup[]): DiscoveredGroup[] {
  return groups
    .map((group) => ({
      ...group,
      versions: group.versions.filter(({ freshness }) => freshness === 'Current'),
    }))
    .filter(({ versions }) => versions.length > 0);
}

function groupBody({ name, versions }: DiscoveredGroup) {
  const listed = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: listed, preferredVersion: listed[0] };
}

/** /api/v1 and /apis/GROUP/VERSION */
export function apiResourceList(
  groups: readonly DiscoveredGroup[],
  name: string,
  version: string,
): unknown {
  const found = groups
    .find((g) => g.name === name)
    ?.versions.find((candidate) => candidate.version === version);
  if (found === undefined) return undefined;
  const resources = found.resources
    .flatMap((resource) => [
      resourceEntry(resource),
      ...(resource.subresources ?? []).map((sub) => subresourceEntry(resource, sub)),
    ])
    .toSorted((a, b) => compareText(a.name, b.name));
  // The core group's list has never told an apiVersion of its own.
  return name === ''
    ? { kind: 'APIResourceList', groupVersion: version, resources }
    : { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${name}/${version}`, resources };
}

function resourceEntry(resource: DiscoveredResource) {
  return {
    name: resource.resource,
    singularName: resource.singularResource,
    namespaced: resource.scope === 'Namespaced',
    kind: resource.responseKind.kind,
    verbs: resource.verbs,
    shortNames: resource.shortNames,
    categories: resource.categories,
    storageVersionHash: resource.storageVersionHash,
  };
}

function subresourceEntry(parent: DiscoveredResource, sub: DiscoveredSubresource) {
  const { group, version, kind } = sub.responseKind;
  const home = parent.responseKind;
  const isForeign = group !== home.group || version !== home.version;
  return {
    name: `${parent.resource}/${sub.subresource}`,
    singularName: '',
    namespaced: parent.scope === 'Namespaced',
    ...(isForeign ? { group: group === '' ? undefined : group, version } : {}),
    kind,
    verbs: sub.verbs,
  };
}

/** /api and /apis as one list of everything (APIGroupDiscoveryList of apidiscovery.k8s.io). */
export function aggregatedDocument(groups: readonly DiscoveredGroup[], version: string): unknown {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: group.name === '' ? {} : { name: group.name },
      versions: group.versions.map((served) => ({
        version: served.version,
        resources: served.resources.map(({ storageVersionHash: _, ...told }) => told),
        freshness: served.freshness,
      })),
    })),
  };
}
