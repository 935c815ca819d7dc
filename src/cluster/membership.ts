import { join } from 'node:path';
import { readIfExists, SECRET_MODE, writeWhole } from './files.ts';
import type { Paths } from './paths.ts';
import { type ClusterSettings, DEFAULT_SETTINGS } from './settings.ts';

/** What a node remembers of the cluster that it has joined. */
export interface Membership {
  readonly server: string;
  readonly settings: ClusterSettings;
  /** It is one of its control planes: `settings` say how. */
  readonly controlPlane?: boolean;
}

/** What this machine has joined, if it has. */
export function membershipOf(paths: Paths): Membership | undefined {
  const text = readIfExists(membershipFile(paths));
  if (text === undefined) return undefined;
  const found = JSON.parse(text) as Membership;
  return { ...found, settings: { ...DEFAULT_SETTINGS, ...found.settings } };
}

/** The same, where there must be one. */
export function membership(paths: Paths): Membership {
  const found = membershipOf(paths);
  if (!found) throw new Error('This machine has joined no cluster; see: k8ts join --help');
  return found;
}

function membershipFile(paths: Paths): string {
  return join(paths.config, 'joined.json');
}

/** Remembers what was joined. */
export function writeMembership(paths: Paths, membership: Membership): void {
  writeWhole(membershipFile(paths), `${JSON.stringify(membership, undefined, 2)}\n`, SECRET_MODE);
}
