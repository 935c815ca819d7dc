import { jsonEqual } from '../util/json.ts';
import { readIfExists } from './files.ts';
import type { Paths } from './paths.ts';
import { savedSettings, settingsFile } from './prepare.ts';
import type { ClusterSettings, ExternalEtcd } from './settings.ts';

/** What an operator has chosen, now or at an earlier start. The rest follows from the machine, and from defaults. */
export type Choices = Partial<Omit<ClusterSettings, 'chosen'>>;

/** What is said on a command line. Undefined: nothing is said about it. */
export interface Said {
  readonly nodeName?: string | undefined;
  readonly nodeIp?: string | undefined;
  readonly nodes?: number | undefined;
  readonly port?: number | undefined;
  readonly verbosity?: number | undefined;
  readonly network?: ClusterSettings['network'] | undefined;
  readonly endpoint?: string | undefined;
  readonly staticPods?: true | undefined;
  /** Lists and files: the word `none` takes back what was chosen before. */
  readonly extraNames?: readonly string[] | undefined;
  readonly disabled?: readonly string[] | undefined;
  readonly auditPolicyFile?: string | undefined;
  /** Whether DNS is there, whatever else is left out. */
  readonly dns?: boolean | undefined;
  readonly store?: ClusterSettings['store'] | undefined;
  readonly externalEtcd?: ExternalEtcd | undefined;
}

const NONE = 'none';

/** What was chosen before. Undefined: there is no cluster yet. */
export function earlierChoices(paths: Paths): Choices | undefined {
  if (readIfExists(settingsFile(paths)) === undefined) return undefined;
  const { nodeName, store, externalEtcd, staticPods, endpoint, network, chosen } =
    savedSettings(paths);
  // Another store would be an empty cluster, another name another node: these stay though nobody chose them.
  return { nodeName, store, externalEtcd, staticPods, endpoint, network, ...chosen };
}

/** What counts: what is said now, else what was chosen before. Throws where it would lose the cluster's state. Pure. */
export function chosenNow(said: Said, before: Choices | undefined): Choices {
  const { dns: _dns, extraNames, disabled: _disabled, auditPolicyFile, store, ...single } = said;
  const now: Choices = {
    ...before,
    ...known(single),
    extraNames: listOf(extraNames, before?.extraNames),
    disabled: leftOut(said, before?.disabled),
    ...(auditPolicyFile === undefined
      ? {}
      : { auditPolicyFile: auditPolicyFile === NONE ? undefined : auditPolicyFile }),
    store: store ?? before?.store ?? (said.staticPods ? 'stacked' : 'lmdb'),
  };
  assertLasting(now, before);
  return now;
}

/** What runs goes on as it was started. Throws when something else is chosen now. */
export function assertAsChosen(paths: Paths, { chosen }: ClusterSettings): void {
  // What was not chosen is as it is by default: to ask for just that is nothing new.
  const before = { ...savedSettings(paths), ...earlierChoices(paths) };
  const news = chosen ? newChoices(chosen, before) : [];
  if (news.length === 0) return;
  throw new Error(
    `The cluster runs with other choices (${news.join(', ')}): k8ts down stops it, and k8ts up starts it with these`,
  );
}

/**
 * A machine that has joined is as the cluster was chosen to be, and as it joined. Throws when something else is said, which
 * would count for nothing. `settings`: what it has joined with. Pure.
 */
export function assertAsJoined(said: Said, settings: ClusterSettings): void {
  const { dns: _dns, verbosity: _verbosity, ...others } = said;
  const now = { ...known(others), disabled: leftOut(said, settings.disabled) };
  const news = newChoices(now, settings);
  if (news.length === 0) return;
  throw new Error(
    `This machine has joined a cluster with other choices (${news.join(', ')}): what all share is chosen on the first control plane, the rest when a machine joins (k8ts leave, k8ts join)`,
  );
}

/** What is chosen otherwise than before; the order of a list does not count. Pure. */
export function newChoices(now: Choices, before: Choices): string[] {
  const shown = (value: unknown) =>
    Array.isArray(value) ? value.toSorted().join() || undefined : value;
  return (Object.keys(now) as (keyof Choices)[]).filter(
    (name) => !jsonEqual(shown(now[name]), shown(before[name])),
  );
}

function assertLasting(
  { nodes = 1, store, staticPods, endpoint = '' }: Choices,
  before: Choices | undefined,
): void {
  if (!Number.isInteger(nodes) || nodes < 1) throw new Error('--nodes must be 1 or more');
  if (before && store !== before.store) {
    throw new Error(
      `The store of this cluster is ${before.store}, and stays so: k8ts store migrate copies it to another, for a cluster of another --root`,
    );
  }
  if (staticPods && store === 'lmdb') {
    throw new Error(
      '--static-pods needs an etcd: drop --etcd none, or name one with --etcd-servers',
    );
  }
  if (endpoint !== '' && !/^[^:]+:\d+$/.test(endpoint)) {
    throw new Error(`--control-plane-endpoint: ${endpoint} is not HOST:PORT`);
  }
}

function listOf(
  said: readonly string[] | undefined,
  before: readonly string[] = [],
): readonly string[] {
  return said?.filter((word) => word !== NONE) ?? before;
}

function leftOut({ disabled, dns }: Said, before?: readonly string[]): readonly string[] {
  const names = listOf(disabled, before);
  if (dns === undefined) return names;
  const others = names.filter((name) => name !== 'dns');
  return dns ? others : [...others, 'dns'];
}

/** Without what is not said. */
function known(said: Said): Choices {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}
