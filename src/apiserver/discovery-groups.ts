import { createHash } from 'node:crypto';
import { compareText, compareVersions, groupPriority } from './api-groups.ts';
import type { ResourceKind, Subresource } from './resource-kind.ts';

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface DiscoveredSubresource {
  readonly subresource: string;
  readonly responseKind: GroupVersionKind;
  readonly verbs: readonly string[];
}

export interface DiscoveredResource {
  readonly resource: string;
  readonly responseKind: GroupVersionKind;
  readonly scope: 'Namespaced' | 'Cluster';
  readonly singularResource: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[] | undefined;
  readonly categories?: readonly string[] | undefined;
  readonly subresources?: readonly DiscoveredSubresource[] | undefined;
  /** Changes when the stored version does. Only the plain documents tell it. */
  readonly storageVersionHash?: string | undefined;
}

export interface DiscoveredVersion {
  readonly version: string;
  readonly resources: readonly DiscoveredResource[];
  /** Stale: an aggregated server that does not answer at the moment. */
  readonly freshness: 'Current' | 'Stale';
}

/** One API group as the aggregated discovery describes it; the plain documents are made from it too. */
export interface DiscoveredGroup {
  readonly name: string;
  readonly priority: number;
  /** Preferred one first. */
  readonly versions: readonly DiscoveredVersion[];
}

/** All groups of `kinds` and the remote ones in upstream's order: by priority, then by name. */
export function discoverGroups(
  kinds: readonly ResourceKind[],
  remote: readonly DiscoveredGroup[],
): DiscoveredGroup[] {
  const byGroup = Map.groupBy(kinds, ({ group }) => group);
  const local = [...byGroup].map(([name, members]) => localGroup(name, members));
  return merged([...local, ...remote]).toSorted(
    (a, b) => b.priority - a.priority || compareText(a.name, b.name),
  );
}

/** A group may have versions here and elsewhere, and its versions on several servers. */
function merged(groups: readonly DiscoveredGroup[]): DiscoveredGroup[] {
  return [...Map.groupBy(groups, ({ name }) => name)].map(([name, parts]) => ({
    name,
    priority: Math.max(...parts.map(({ priority }) => priority)),
    versions: parts
      .flatMap(({ versions }) => versions)
      .toSorted((a, b) => compareVersions(a.version, b.version)),
  }));
}

function localGroup(name: string, kinds: readonly ResourceKind[]): DiscoveredGroup {
  const byVersion = Map.groupBy(kinds, ({ version }) => version);
  const versions = [...byVersion].map(
    ([version, members]): DiscoveredVersion => ({
      version,
      resources: members
        .map(discoveredResource)
        .toSorted((a, b) => compareText(a.resource, b.resource)),
      freshness: 'Current',
    }),
  );
  return {
    name,
    priority: groupPriority(name),
    versions: versions.toSorted((a, b) => compareVersions(a.version, b.version)),
  };
}

function discoveredResource(kind: ResourceKind): DiscoveredResource {
  const subresources = Object.entries(kind.subresources).map(([name, subresource]) =>
    discoveredSubresource(kind, name, subresource),
  );
  return {
    resource: kind.resource,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.verbs.toSorted(compareText),
    shortNames: kind.shortNames.length > 0 ? kind.shortNames : undefined,
    categories: kind.categories.length > 0 ? kind.categories : undefined,
    subresources:
      subresources.length > 0
        ? subresources.toSorted((a, b) => compareText(a.subresource, b.subresource))
        : undefined,
    storageVersionHash: kind.verbs.includes('list') ? storageVersionHash(kind) : undefined,
  };
}

function discoveredSubresource(
  kind: ResourceKind,
  name: string,
  subresource: Subresource,
): DiscoveredSubresource {
  const { responseKind, verbs } = subresourceFacts(kind, subresource);
  return { subresource: name, responseKind, verbs: verbs.toSorted(compareText) };
}

function subresourceFacts(
  kind: ResourceKind,
  subresource: Subresource,
): { responseKind: GroupVersionKind; verbs: readonly string[] } {
  const own = { group: kind.group, version: kind.version, kind: kind.kind };
  switch (subresource.type) {
    case 'view':
      return { responseKind: own, verbs: subresource.verbs };
    case 'scale':
      return {
        responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
        verbs: ['get', 'patch', 'update'],
      };
    case 'connect': {
      const place =
        subresource.apiVersion === undefined ? own : parseGroupVersion(subresource.apiVersion);
      return { responseKind: { ...place, kind: subresource.kind }, verbs: subresource.verbs };
    }
  }
}

function parseGroupVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  if (slash < 0) return { group: '', version: apiVersion };
  return { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** The first 8 bytes of the SHA-256 of the stored GROUP/VERSION/KIND (apiserver discovery.StorageVersionHash). */
function storageVersionHash(kind: ResourceKind): string {
  const { group, version } = kind.storedAs ?? kind;
  const digest = createHash('sha256').update(`${group}/${version}/${kind.kind}`).digest();
  return digest.subarray(0, 8).toString('base64');
}
