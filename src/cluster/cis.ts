import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isObject } from '../util/json.ts';
import { CIS_CONTROLS } from './cis-controls.ts';
import { readIfExists } from './files.ts';
import type { Paths } from './paths.ts';
import { type ProcessStatus, statusFile } from './supervisor.ts';

export type Verdict = 'pass' | 'fail' | 'n/a' | 'look';

export interface Finding {
  readonly id: string;
  readonly subject: string;
  readonly verdict: Verdict;
  readonly reason: string;
}

/** What a cluster shows of itself: the command lines of its processes, the kubelet's configuration, its files. */
export interface ClusterFacts {
  /** By component: flags and their values. */
  readonly flags: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly kubelet: unknown;
  /** Permission bits and owner; undefined: there is no such file. */
  file(name: string): { mode: number; uid: number } | undefined;
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

type Judgement = Pick<Finding, 'verdict' | 'reason'>;
const when = (holds: boolean, reason: string): Judgement => ({
  verdict: holds ? 'pass' : 'fail',
  reason,
});

const JUDGES: Readonly<Record<string, (facts: ClusterFacts, args: string[]) => Judgement>> = {
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
  kubelet(facts, [path = '', wanted]) {
    const value = path
      .split('.')
      .reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), facts.kubelet);
    const holds = value !== undefined && (wanted === undefined || String(value) === wanted);
    return when(holds, `${path} is ${value === undefined ? 'not set' : String(value)}`);
  },
};

/** Looks at the cluster of this machine. Throws when none runs. */
export function readCluster(paths: Paths): ClusterFacts {
  const text = readIfExists(statusFile(paths.run));
  if (text === undefined) throw new Error('The cluster is not running; see: k8ts up');
  const flags = new Map(
    (JSON.parse(text) as ProcessStatus[]).flatMap(({ name, pid }) =>
      pid === undefined ? [] : [[name, flagsOf(pid)] as const],
    ),
  );
  const kubelet = readIfExists(join(paths.config, 'kubelet.json'));
  return {
    flags,
    kubelet: kubelet === undefined ? undefined : JSON.parse(kubelet),
    file(name) {
      const path = name === 'store' ? paths.store : locate(paths, name);
      if (!existsSync(path)) return undefined;
      const { mode, uid } = statSync(path);
      return { mode: mode & 0o777, uid };
    },
  };
}

/** The one network configuration has a name of its own. */
function locate(paths: Paths, name: string): string {
  if (!name.startsWith('cni/')) return join(paths.config, name);
  const [first = 'none'] = existsSync(paths.cni.config) ? readdirSync(paths.cni.config) : [];
  return join(paths.cni.config, first);
}

function flagsOf(pid: number): ReadonlyMap<string, string> {
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  const found = [...command.matchAll(/--([a-z0-9-]+)(?:=([^\0 ]*))?/g)];
  return new Map(found.map(([, name = '', value = 'true']) => [name, value]));
}
