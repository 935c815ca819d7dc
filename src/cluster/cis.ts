import { isObject } from '../util/json.ts';
import { CIS_CONTROLS } from './cis-controls.ts';
import { type Judgement, notApplicable, unless, type Verdict, when } from './cis-judgement.ts';
import type { ClusterObjects } from './cis-objects.ts';
import { judgeAdministrators, judgeRight, judgeWildcards } from './cis-rights.ts';
import { type PodSecurityLevel, WORKLOAD_JUDGES } from './cis-workloads.ts';

export type { Verdict };

export interface Finding extends Judgement {
  readonly id: string;
  readonly subject: string;
}

/** What a cluster shows of itself. */
export interface ClusterFacts {
  /** The command lines of its components: by component, flags and their values. */
  readonly flags: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Permission bits and owner of a file of the control plane's machine; undefined: there is none. */
  file(name: string): { mode: number; uid: number } | undefined;
  readonly objects: ClusterObjects;
  /** In their order. */
  readonly authorizers: readonly string[];
  /** What seals Secrets in the store first; undefined: nothing. */
  readonly encryption: string | undefined;
  /** Groups of the administrator's certificate. */
  readonly administratorGroups: readonly string[];
  readonly podSecurityDefault: PodSecurityLevel;
  /** How much the audit policy records of a request; undefined: there is no policy. */
  readonly auditLevel: ((request: AuditedKind) => string) | undefined;
}

export interface AuditedKind {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
}

/** Judges every control of the benchmark. Pure. */
export function judgeControls(facts: ClusterFacts): Finding[] {
  return CIS_CONTROLS.trimEnd()
    .split('\n')
    .map((line) => {
      const [id = '', subject = '', rule = ''] = line.split('\t');
      const [word = '', ...rest] = rule.split(' ');
      const judge = JUDGES[word];
      if (judge) return { id, subject, ...judge(facts, rest) };
      return { id, subject, verdict: word as Verdict, reason: rest.join(' ') };
    });
}

type Judge = (facts: ClusterFacts, args: readonly string[]) => Judgement;

const FILE_JUDGES: Readonly<Record<string, Judge>> = {
  mode(facts, [name = '', max = '']) {
    const found = facts.file(name);
    if (!found) return when(false, `${name} is missing`);
    const extra = found.mode & ~Number.parseInt(max, 8);
    return when(extra === 0, `${name} has ${found.mode.toString(8)}, may have ${max}`);
  },

  owner(facts, [name = '']) {
    const found = facts.file(name);
    return found
      ? when(found.uid === 0, `${name} belongs to user ${found.uid}`)
      : when(false, `${name} is missing`);
  },

  /** Of a component that may run as a static Pod. */
  manifest(facts, [name = '', what]) {
    const file = `manifests/${name}.yaml`;
    if (facts.file(file)) return fileJudgement(facts, file, what, '600');
    if (name === 'etcd' && !facts.flags.has('etcd')) return notApplicable(NO_ETCD);
    return notApplicable(`${name} is a process of the supervisor; it has no manifest`);
  },

  data(facts, [what]) {
    if (facts.flags.has('etcd')) return fileJudgement(facts, 'etcd-data', what, '700');
    return isEmbedded(facts)
      ? fileJudgement(facts, 'store', what, '700')
      : notApplicable('etcd runs on other machines');
  },
};

function fileJudgement(
  facts: ClusterFacts,
  file: string,
  what: string | undefined,
  max: string,
): Judgement {
  const judge = what === 'mode' ? FILE_JUDGES.mode : FILE_JUDGES.owner;
  return judge?.(facts, [file, max]) ?? notApplicable('');
}

const NO_ETCD = 'The store is embedded; no connection leads to it';

function isEmbedded({ flags }: ClusterFacts): boolean {
  return !flags.get('apiserver')?.has('etcd-servers');
}

const FLAG_JUDGES: Readonly<Record<string, Judge>> = {
  /** `!NAME`: must be absent; a value that begins with ~ must be among the list. */
  flag(facts, [component = '', name = '', wanted]) {
    const flags = facts.flags.get(component);
    if (!flags) return when(false, `${component} does not run`);
    if (name.startsWith('!')) {
      const flag = name.slice(1);
      return when(!flags.has(flag), `--${flag} is ${flags.get(flag) ?? 'not set'}`);
    }
    const value = flags.get(name);
    const holds = wanted?.startsWith('~')
      ? (value ?? '').split(',').includes(wanted.slice(1))
      : value !== undefined && (wanted === undefined || value === wanted);
    return when(holds, `--${name} is ${value ?? 'not set'}`);
  },

  least(facts, [component = '', name = '', least = '']) {
    const value = facts.flags.get(component)?.get(name);
    return when(Number(value ?? Number.NaN) >= Number(least), `--${name} is ${value ?? 'not set'}`);
  },

  not(facts, [component = '', name = '', word = '']) {
    const value = facts.flags.get(component)?.get(name);
    const holds = !(value ?? '').split(',').includes(word);
    return when(holds, `--${name} is ${value ?? 'not set'}`);
  },

  loopback(facts, [component = '', name = '']) {
    const value = facts.flags.get(component)?.get(name);
    const isDefault = value === undefined;
    const holds = isDefault || /^(127\.|localhost|\[::1\])/.test(value);
    return when(holds, `--${name} is ${value ?? 'not set, which means 127.0.0.1'}`);
  },

  authorizer({ authorizers }, [wanted = '']) {
    const reason = `Authorizers are ${authorizers.join(', ')}`;
    if (wanted.startsWith('!')) return when(!authorizers.includes(wanted.slice(1)), reason);
    return when(authorizers.includes(wanted), reason);
  },

  'etcd-client'(facts, names) {
    if (isEmbedded(facts)) return notApplicable(NO_ETCD);
    const flags = facts.flags.get('apiserver');
    const missing = names.filter((name) => !flags?.has(name));
    return unless(missing, `Set: ${names.join(', ')}`, 'Not set');
  },

  /** Flags that must be set, `NAME=VALUE` with that value, `!NAME=VALUE` with another. */
  etcd(facts, rules) {
    const flags = facts.flags.get('etcd');
    if (!flags) return notApplicable(isEmbedded(facts) ? NO_ETCD : 'etcd runs on other machines');
    const broken = rules.filter((rule) => {
      const [name = '', wanted] = rule.replace('!', '').split('=');
      const value = flags.get(name);
      const holds = wanted === undefined ? value !== undefined : value === wanted;
      return rule.startsWith('!') ? holds : !holds;
    });
    return unless(broken, `As asked for: ${rules.join(', ')}`, 'Not as asked for');
  },

  'etcd-authority'(facts) {
    const own = facts.flags.get('etcd')?.get('trusted-ca-file');
    const cluster = facts.flags.get('apiserver')?.get('client-ca-file');
    if (own === undefined) {
      return notApplicable(isEmbedded(facts) ? NO_ETCD : 'etcd runs on other machines');
    }
    return when(own !== cluster, `etcd believes ${own}, the API server ${cluster}`);
  },
};

const SECRET_KINDS: readonly AuditedKind[] = [
  { verb: 'get', group: '', resource: 'secrets', subresource: '' },
  { verb: 'get', group: '', resource: 'configmaps', subresource: '' },
  { verb: 'create', group: 'authentication.k8s.io', resource: 'tokenreviews', subresource: '' },
];
const WORTHY_KINDS: readonly AuditedKind[] = [
  { verb: 'create', group: '', resource: 'pods', subresource: '' },
  { verb: 'patch', group: 'apps', resource: 'deployments', subresource: '' },
  ...['exec', 'portforward', 'proxy'].map((subresource) => ({
    ...{ verb: 'create', group: '', resource: 'pods', subresource },
  })),
  { verb: 'create', group: '', resource: 'services', subresource: 'proxy' },
];
/** Each is a way to be known that can be taken back from a person. */
const PEOPLE_FLAGS = [
  'oidc-issuer-url',
  'authentication-config',
  'authentication-token-webhook-config-file',
];
/** Those that the benchmark names. */
const GOOD_PROVIDERS = ['aescbc', 'kms', 'secretbox'];

const OTHER_JUDGES: Readonly<Record<string, Judge>> = {
  /** Of every node: the configuration that its kubelet works by. */
  kubelet({ objects }, [path = '', wanted]) {
    const found = [...objects.kubelets].map(([node, configuration]) => {
      const value = path
        .split('.')
        .reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), configuration);
      const isSet = value !== undefined && value !== '' && value !== -1;
      const holds = isSet && (wanted === undefined || String(value) === wanted);
      return { node, holds, said: `${path} is ${isSet ? String(value) : 'not set'}` };
    });
    const bad = found.filter(({ holds }) => !holds);
    const said = new Set((bad.length > 0 ? bad : found).map((one) => one.said));
    const where = bad.length > 0 && bad.length < found.length;
    const nodes = where ? ` on ${bad.map(({ node }) => node).join(', ')}` : '';
    return when(found.length > 0 && bad.length === 0, [...said].join('; ') + nodes);
  },

  encryption: ({ encryption }) =>
    when(
      encryption !== undefined && GOOD_PROVIDERS.includes(encryption),
      encryption === undefined ? 'Nothing encrypts Secrets' : `${encryption} encrypts Secrets`,
    ),

  people({ flags }) {
    const given = PEOPLE_FLAGS.filter((name) => flags.get('apiserver')?.has(name));
    return given.length > 0
      ? when(true, `People can come by --${given.join(', --')}`)
      : when(false, 'People have nothing but certificates, which cannot be taken back');
  },

  audit({ auditLevel }) {
    if (!auditLevel) return when(false, 'There is no audit policy');
    const shown = ({ resource, subresource }: AuditedKind): string =>
      subresource === '' ? resource : `${resource}/${subresource}`;
    const unseen = WORTHY_KINDS.filter((kind) => auditLevel(kind) === 'None');
    const bad = SECRET_KINDS.filter((kind) => auditLevel(kind) !== 'Metadata');
    return unless(
      [...bad, ...unseen].map(shown),
      'Secrets are recorded without what they hold; changes of workloads and ways into Pods are',
      'Not recorded, or with the secrets that they hold',
    );
  },

  masters: ({ administratorGroups: groups }) =>
    when(
      !groups.includes('system:masters'),
      groups.includes('system:masters')
        ? 'The administrator of admin.conf is of system:masters; keep it for emergencies'
        : 'The administrator of admin.conf is of other groups',
    ),

  right: ({ objects }, [name = '']) => judgeRight(objects, name),
  administrators: ({ objects }) => judgeAdministrators(objects),
  wildcards: ({ objects }) => judgeWildcards(objects),
};

const JUDGES: Readonly<Record<string, Judge>> = {
  ...FILE_JUDGES,
  ...FLAG_JUDGES,
  ...OTHER_JUDGES,
  ...WORKLOAD_JUDGES,
};
