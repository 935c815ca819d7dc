import type { DiscoveredGroup } from './discovery-groups.ts';

interface Served {
  readonly groups: readonly DiscoveredGroup[];
  /** The checks of each health endpoint, by name. */
  readonly checks: Readonly<Record<'livez' | 'readyz', readonly { readonly name: string }[]>>;
  /** Whether service account tokens are signed here. */
  readonly signsTokens: boolean;
}

/** Every path that answers something without naming an object: what GET / tells. */
export function rootPaths({ groups, checks, signsTokens }: Served): { paths: string[] } {
  const ofGroups = groups.flatMap(({ name, versions }) => {
    const root = name === '' ? '/api' : `/apis/${name}`;
    return [root, ...versions.map(({ version }) => `${root}/${version}`)];
  });
  const health = (endpoint: string, all: readonly { readonly name: string }[]) => [
    endpoint,
    ...all.map(({ name }) => `${endpoint}/${name}`),
  ];
  const paths = [
    ...ofGroups,
    ...['/apis', '/apis/', '/metrics', '/metrics/slis', '/version'],
    ...['/openapi/v2', '/openapi/v3', '/openapi/v3/'],
    ...health('/healthz', checks.readyz),
    ...health('/livez', checks.livez),
    ...health('/readyz', checks.readyz),
    ...(signsTokens ? ['/.well-known/openid-configuration', '/openid/v1/jwks'] : []),
  ];
  return { paths: paths.sort() };
}
