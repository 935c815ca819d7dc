import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pathsUnder } from '../../src/cluster/paths.ts';
import { type RunResult, run } from '../../src/host/exec.ts';
import { commandLineOf, listProcesses } from '../../src/host/processes.ts';
import { K8TS } from '../support/cluster.ts';
import { createNetworkNamespace, type NetworkNamespace } from '../support/network-namespace.ts';

const CNI_RESULTS = '/var/lib/cni/results';
const SYSCTL_FILES = '/etc/sysctl.d';
const DEPLOY = resolve(import.meta.dirname, '../../deploy');

let network: NetworkNamespace;
let root: string;
beforeAll(async () => {
  network = await createNetworkNamespace();
  root = mkdtempSync(join(tmpdir(), 'k8ts-'));
});
afterAll(async () => {
  await script('down.sh', '--purge', '--root', root).finally(() => network.remove());
  rmSync(root, { recursive: true, force: true });
});

/** Runs a script of deploy/ in the test's network. */
function script(name: string, ...args: string[]): Promise<RunResult> {
  return network.run(join(DEPLOY, name), args, { timeoutMs: 150_000, acceptExitCodes: [0, 1] });
}

/** Runs up.sh in a mount namespace of its own that `prepare` has changed first. */
function upAfter(prepare: string, ...args: string[]): Promise<RunResult> {
  const command = `mount --make-rprivate / && ${prepare} && exec "$0" "$@"`;
  const words = ['--mount', 'sh', '-c', command, join(DEPLOY, 'up.sh'), ...args];
  return network.run('unshare', words, { acceptExitCodes: [1] });
}

/** What a cluster could leave behind: rules, devices, mounts, settings, cgroups, processes. */
async function traces() {
  const [rules, tables, links] = await Promise.all([
    network.run('iptables-save', []),
    network.run('nft', ['list', 'tables']),
    network.run('ip', ['-brief', 'link']),
  ]);
  const { cgroupRoot } = pathsUnder(root);
  const cgroups = readdirSync('/sys/fs/cgroup').map((top) => join('/sys/fs/cgroup', top));
  return {
    // iptables makes its own empty tables; what counts are chains and rules.
    rules: rules.stdout.split('\n').filter((line) => /^-A|^:(?!.* (ACCEPT|DROP) )/.test(line)),
    tables: tables.stdout.split('\n').filter((line) => !/ (filter|nat|mangle)$/.test(line)),
    links: links.stdout.split('\n').map((line) => line.split(' ')[0]),
    mounts: readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(root)),
    cniResults: existsSync(CNI_RESULTS)
      ? readdirSync(CNI_RESULTS).filter((name) =>
          readFileSync(join(CNI_RESULTS, name), 'utf8').includes(root),
        )
      : [],
    settings: existsSync(SYSCTL_FILES) ? readdirSync(SYSCTL_FILES) : [],
    cgroups: cgroups.map((top) => join(top, cgroupRoot)).filter(existsSync),
    processes: listProcesses()
      .map((pid) => commandLineOf(pid).join(' '))
      .filter((line) => line.includes(root)),
  };
}

describe('deploy/up.sh', () => {
  it('starts a cluster with a demo that answers; again, it changes nothing; down.sh --purge leaves no trace', async () => {
    const before = await traces();
    const first = await script('up.sh', '--root', root);
    expect(first.stderr).toBe('');
    expect(first.stdout).toMatch(/^ +\d+\.\ds {2}\S/); // Progress with its times.
    expect(first.stdout).toContain('deployment "web" successfully rolled out');
    const answers = [...first.stdout.matchAll(/ (web-\S+) \((\d+) times\)/g)];
    expect(answers.length).toBeGreaterThan(1);
    expect(answers.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(12);
    expect(first.stdout.trim().split('\n').at(-1)).toContain('Try: kubectl get pods');

    const kubectl = async (...args: string[]) =>
      (
        await network.run(join(root, 'var/lib/k8ts/tools/kubectl'), [
          `--kubeconfig=${join(root, 'root/.kube/config')}`,
          '--context=k8ts',
          ...args,
        ])
      ).stdout;
    const resources = () =>
      kubectl('get', 'pods,deployments,services', '-o', 'name', '--sort-by=.metadata.name');
    const pods = await resources();
    const again = await script('up.sh', '--root', root);
    expect(again.stdout).toContain('The cluster is already running');
    expect(again.stdout).toContain('deployment.apps/web unchanged');
    expect(again.stdout).toContain('service/web unchanged');
    const other = await script('up.sh', '--no-dns', '--root', root);
    expect([other.exitCode, other.stderr]).toEqual([
      1,
      expect.stringContaining('The cluster runs with other choices (disabled): k8ts down stops it'),
    ]);
    expect(await resources()).toBe(pods);
    expect(readdirSync(join(root, 'usr/local/bin'))).toContain('k8ts');

    const words = ['netns', 'exec', network.name, K8TS, 'down', '--root', root];
    const hidden = await run('ip', words, { acceptExitCodes: [1] });
    expect(hidden.stderr).toMatch(/by which Pods are found.*nsenter --net/);
    expect(await resources()).toBe(pods);

    await script('down.sh', '--purge', '--root', root);
    expect(await traces()).toEqual(before);
    const left = readdirSync(root, { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => !entry.isDirectory()).map(({ name }) => name)).toEqual([]);
  });
});

describe('deploy/up.sh refuses, in one sentence and before it changes anything,', () => {
  const cases: [string, () => Promise<RunResult>, RegExp][] = [
    [
      'to run without root',
      () =>
        network.run('setpriv', ['--reuid=65534', '--clear-groups', join(DEPLOY, 'up.sh')], {
          acceptExitCodes: [1],
        }),
      /^up\.sh: this needs root; try: sudo \S+$/,
    ],
    [
      'a system that is not Debian',
      () => {
        writeFileSync(join(root, 'os-release'), 'ID=plan9\n');
        return upAfter(`mount --bind ${root}/os-release /etc/os-release`);
      },
      /^up\.sh: this system \(plan9\) is not supported; .*Debian 12/,
    ],
    [
      'a machine without cgroups',
      () => upAfter('umount --recursive /sys/fs/cgroup'),
      /^up\.sh: no cgroups are mounted, .* mount them/,
    ],
    [
      'a full disk',
      () => upAfter(`mount -t tmpfs -o size=8m tmpfs ${root}`, '--root', root),
      /^up\.sh: only \d+ MiB are free .* needs 1024 MiB$/,
    ],
    [
      'a port that is taken',
      async () => {
        const listener = network.run('timeout', ['150', 'socat', 'TCP-LISTEN:7443', '/dev/null'], {
          acceptExitCodes: [0, 124],
        });
        await network.run('sh', ['-c', "until ss -ltn | grep -q ':7443 '; do sleep 0.05; done"]);
        const result = await script('up.sh', '--root', root, '--port', '7443');
        await network.run('socat', ['/dev/null', 'TCP:127.0.0.1:7443']);
        await listener;
        return result;
      },
      /^up\.sh: port 7443 is taken by another program; .*--port$/,
    ],
    ['an option that it does not know', () => script('up.sh', '--fast'), /unknown option --fast$/],
  ];
  it.each(cases)('%s', async (_, attempt, sentence) => {
    const before = await traces();
    const { exitCode, stderr, stdout } = await attempt();
    expect(exitCode).toBe(1);
    expect(stderr.trim().split('\n').at(-1)).toMatch(sentence);
    expect(stdout).toBe('');
    expect(await traces()).toEqual(before);
    expect(existsSync(join(root, 'etc/k8ts'))).toBe(false);
  });
});
