import { randomUUID } from 'node:crypto';
import { copyFileSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errnoOf } from '../../src/util/errors.ts';
import { type Cluster, createCluster, NODE_NAME } from '../support/cluster.ts';
import { componentPid } from '../support/component-pid.ts';
import { eventually } from '../support/eventually.ts';
import { shellPod, webDeployment } from '../support/manifests.ts';
import {
  type AuditedRequest,
  grantsOf,
  isHeld,
  permissionOf,
  permissionsIn,
  readAuditLog,
  readPolicy,
} from '../support/permissions.ts';

// A whole cluster that records all requests, looked at by an auditor.

const POLICY = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
`;
/** Found nowhere but where it belongs. */
const PASSWORD = `password-${randomUUID()}`;
const ENFORCE = 'pod-security.kubernetes.io/enforce';
const ENCODED = Buffer.from(PASSWORD).toString('base64');

let cluster: Cluster;
const auditLog = () => join(cluster.paths.logs, 'audit', 'audit.log');

beforeAll(async () => {
  cluster = await createCluster();
  const policy = join(cluster.paths.root, 'policy.yaml');
  writeFileSync(policy, POLICY, { mode: 0o600 });
  await cluster.up('--audit-policy-file', policy, '-v', '6');
});
afterAll(() => cluster.remove());

/** A bit of everything, so that components do what they are there for. */
async function work(): Promise<void> {
  const meta = (name: string) => ({ name, namespace: 'work' });
  await cluster.kubectl('create', 'namespace', 'work');
  await cluster.kubectl(
    '-n',
    'work',
    'create',
    'secret',
    'generic',
    's',
    `--from-literal=p=${PASSWORD}`,
  );
  const env = [{ name: 'P', valueFrom: { secretKeyRef: { name: 's', key: 'p' } } }];
  const pod = shellPod('reader', 'cat /secret/p > /tmp/p; sleep 3600', {
    env,
    volumeMounts: [{ name: 's', mountPath: '/secret' }],
  }) as { metadata: object; spec: { volumes?: object[] } };
  pod.spec.volumes = [{ name: 's', secret: { secretName: 's' } }];
  const once = shellPod('once', 'true') as { spec: object };
  const template = { spec: { ...once.spec, restartPolicy: 'Never' } };
  const claim = {
    ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: meta('c') },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
  };
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: meta('job'), spec: { template } };
  const daemon = (webDeployment('daemon', 1) as { spec: { selector: object; template: object } })
    .spec;
  const daemonSet = {
    ...{ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: meta('daemon') },
    spec: { selector: daemon.selector, template: daemon.template },
  };
  const budget = {
    ...{ apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: meta('web') },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'web' } } },
  };
  const service = {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: meta('web') },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
  };
  const items = [pod, webDeployment('web', 2), service, claim, job, daemonSet, budget];
  await cluster.apply({ apiVersion: 'v1', kind: 'List', items }, '-n', 'work');
  const wait = (...args: string[]) =>
    cluster.kubectl('-n', 'work', 'wait', '--timeout=120s', ...args);
  await wait('--for=condition=Ready', 'pod/reader');
  await wait('--for=condition=Available', 'deployment/web');
  await wait('--for=condition=Complete', 'job/job');
  await cluster.kubectl('-n', 'work', 'exec', 'reader', '--', 'cat', '/tmp/p');
  await cluster.kubectl('-n', 'work', 'logs', 'reader');
  await cluster.kubectl('-n', 'work', 'scale', 'deployment/web', '--replicas=1');
  await cluster.kubectl('delete', 'namespace', 'work', '--timeout=120s');
}

/** Of the metrics server, as its own upstream manifest has them. */
const ADDON_BINDINGS = [
  'metrics-server-auth-reader',
  'metrics-server:system:auth-delegator',
  'system:metrics-server',
];

const COMPONENT =
  /^system:(kube-scheduler|kube-controller-manager|kube-proxy|node:.*|serviceaccount:kube-system:.*)$/;

describe('least privilege', () => {
  it('every component uses only what it holds, and holds only what upstream gives it', async () => {
    await work();
    const policy = await readPolicy(cluster);
    const requests = readAuditLog(auditLog());
    const byUser = Map.groupBy(
      requests.filter(({ user }) => COMPONENT.test(user.username)),
      ({ user }) => user.username,
    );
    for (const name of ['kube-scheduler', 'kube-controller-manager', 'kube-proxy']) {
      expect([...byUser.keys()]).toContain(`system:${name}`);
    }
    expect([...byUser.keys()]).toContain(`system:node:${NODE_NAME}`);
    expect(
      [...byUser.keys()].filter((name) => name.includes(':kube-system:')).length,
    ).toBeGreaterThan(15);
    const lines: string[] = [];
    for (const [name, own] of [...byUser].sort(([a], [b]) => (a < b ? -1 : 1))) {
      lines.push(...report(name, own, grantsOf(policy, own[0]?.user ?? { username: name })));
      const grants = grantsOf(policy, own[0]?.user ?? { username: name });
      const beyond = own.filter((request) => !isHeld(grants, request)).map(permissionOf);
      expect([...new Set(beyond)], `${name} used what it does not hold`).toEqual([]);
      expect(own.some(({ user }) => user.groups?.includes('system:masters'))).toBe(false);
    }
    process.stdout.write(`${lines.join('\n')}\n`);
    // What a component holds comes from roles that the API server brings, which a test compares with upstream's.
    const added = policy.bindings.filter(
      ({ metadata, subjects = [] }) =>
        metadata.labels?.['kubernetes.io/bootstrapping'] !== 'rbac-defaults' &&
        subjects.some(({ kind, name, namespace }) =>
          COMPONENT.test(
            kind === 'ServiceAccount' ? `system:serviceaccount:${namespace}:${name}` : name,
          ),
        ),
    );
    expect(added.map(({ metadata }) => metadata.name).sort()).toEqual(ADDON_BINDINGS);
  });
});

/** One component's permissions: those that it used, and those that it only holds. */
function report(
  name: string,
  own: readonly AuditedRequest[],
  grants: ReturnType<typeof grantsOf>,
): string[] {
  const used = [...new Set(own.map(permissionOf))].sort();
  const idle = permissionsIn(grants).filter((permission) => !used.includes(permission));
  return [
    name,
    `  used (${used.length}): ${used.join(', ')}`,
    `  held besides (${idle.length}): ${idle.join(', ')}`,
  ];
}

describe('secrets', () => {
  it('are in no log and, in the store, not in the clear', () => {
    const files = filesBelow(cluster.paths.logs);
    expect(files).toContain(auditLog());
    expect(
      readAuditLog(auditLog()).some(({ objectRef }) => objectRef?.resource === 'secrets'),
    ).toBe(true);
    for (const file of [...files, ...filesBelow(cluster.paths.store)]) {
      const text = unlessGone(() => readFileSync(file, 'latin1')) ?? '';
      expect(text.includes(PASSWORD) || text.includes(ENCODED), file).toBe(false);
    }
  });
});

describe('files and sockets', () => {
  it('are out of reach of other users, but for the logs of Pods', () => {
    const { root, podLogs, containerLogs, state } = cluster.paths;
    // What stands above our directories is the machine's.
    const open = reachableBelow(root).filter(
      (path) =>
        !state.startsWith(path) &&
        ![podLogs, containerLogs].some((logs) => path.startsWith(logs) || logs.startsWith(path)),
    );
    expect(open.map((path) => path.slice(root.length))).toEqual([]);
  });

  it('the control plane holds no power over the kernel', async () => {
    for (const name of ['apiserver', 'controller-manager', 'scheduler']) {
      const status = readFileSync(`/proc/${await componentPid(cluster, name)}/status`, 'utf8');
      expect(status).toMatch(/^CapEff:\s+0+$/m);
      expect(status).toMatch(/^CapBnd:\s+0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    }
  });
});

describe('a Pod', () => {
  it('CVE-2024-10220: with a gitRepo volume never starts', async () => {
    const pod = shellPod('git', 'true', {
      volumeMounts: [{ name: 'git', mountPath: '/git' }],
    }) as { spec: { volumes?: object[] } };
    const repository = 'https://localhost/repository.git';
    pod.spec.volumes = [{ name: 'git', gitRepo: { repository, directory: '.git' } }];
    await cluster.apply(pod);
    const event = await eventually('its volume is refused', async () => {
      const args = ['--field-selector', 'reason=FailedMount,involvedObject.name=git'];
      return (await cluster.get('events', ...args)).items[0];
    });
    expect(event.message).toContain('volumes of type gitRepo are not supported');
    expect((await cluster.get('pod', 'git')).status.phase).toBe('Pending');
    await cluster.kubectl('delete', 'pod', 'git');
  });

  it('path traversal: leads the kubelet to no file but its logs', async () => {
    const pki = join(cluster.paths.pki, 'apiserver-kubelet-client');
    const identity = ['--insecure', '--silent', '--cert', `${pki}.crt`, '--key', `${pki}.key`];
    for (const path of [
      '/containerLogs/../../../../etc/passwd',
      '/containerLogs/default/..%2f..%2f..%2fetc/passwd',
      '/containerLogs/kube-system/..%2f..%2f/..%2f..%2f..%2fetc%2fpasswd',
      '/logs/../../etc/passwd',
      '/logs/..%2f..%2f..%2fetc%2fpasswd',
    ]) {
      const url = `https://127.0.0.1:10250${path}`;
      const args = [...identity, '--path-as-is', '--write-out', '%{http_code}', url];
      const { stdout } = await cluster.network.run('curl', args);
      expect(stdout, path).toMatch(/404$/);
      expect(stdout).not.toContain('root:');
    }
  });
});

describe('k8ts audit cis', () => {
  /** Those that the audit policy changes, which this cluster was started with. */
  const AUDITING = ['1.2.16', '1.2.17', '1.2.18', '1.2.19', '3.2.1', '3.2.2'];
  const findings = async (): Promise<{ id: string; verdict: string; rest: string[] }[]> => {
    const { stdout } = await cluster.k8ts('audit', 'cis');
    const [head = '', ...rows] = stdout.replaceAll(cluster.paths.root, '').trimEnd().split('\n');
    expect(head).toMatch(/^CONTROL +RESULT +SUBJECT +REASON$/);
    expect(rows.pop()).toMatch(/^\d+ PASS, \d+ FAIL, \d+ N\/A of 131$/);
    return rows.map((row) => {
      const [id = '', verdict = '', ...rest] = row.split(/ {2,}/);
      return { id, verdict: verdict.toLowerCase(), rest };
    });
  };

  it('finds what docs/security.md tells, by reading the running cluster', async () => {
    const text = readFileSync(resolve(import.meta.dirname, '../../docs/security.md'), 'utf8');
    const told = text.split('\n').flatMap((line) => {
      if (!/^\| \d/.test(line)) return [];
      const [id = '', subject = '', verdict = '', reason = ''] = line
        .split('|')
        .slice(1)
        .map((cell) => cell.trim());
      return [{ id, verdict: verdict.toLowerCase(), rest: [subject, reason] }];
    });
    const found = await findings();
    expect(found).toHaveLength(131);
    const others = (list: typeof found) => list.filter(({ id }) => !AUDITING.includes(id));
    expect(others(found)).toEqual(others(told));
    for (const one of found)
      if (AUDITING.includes(one.id)) expect(one.verdict, one.id).toBe('pass');
  });

  it('notices what changes', async () => {
    await cluster.kubectl('create', 'namespace', 'mine');
    await cluster.kubectl('label', 'namespace', 'default', 'mine', `${ENFORCE}=restricted`);
    const eve = ['clusterrolebinding', 'eve'];
    await cluster.kubectl('create', ...eve, '--clusterrole=cluster-admin', '--user=eve');
    await cluster.kubectl('create', 'configmap', 'here');
    const found = new Map(
      (await findings()).map(({ id, verdict, rest }) => [id, { verdict, rest }]),
    );
    for (const id of ['5.2.2', '5.2.6']) expect(found.get(id)?.verdict, id).toBe('pass');
    expect(found.get('5.1.1')?.rest[1]).toBe('Bindings name it: eve');
    expect(found.get('5.1.2')?.rest[1]).toBe('These may: User eve');
    expect(found.get('5.7.4')?.rest[1]).toBe('It holds objects: configmaps/here');
    await cluster.kubectl('delete', 'namespace/mine', 'configmap/here', eve.join('/'));
    await cluster.kubectl('label', 'namespace', 'default', `${ENFORCE}-`);
  });
});

describe('k8ts secrets-encrypt', () => {
  it('changes the key of every Secret, and forgets the old one', async () => {
    await cluster.kubectl('create', 'secret', 'generic', 'kept', `--from-literal=p=${PASSWORD}`);
    expect((await cluster.k8ts('secrets-encrypt', 'status')).stdout).toMatch(
      /Enabled\nProvider: secretbox\nActive key: key1\nOld keys: none/,
    );
    expect((await cluster.k8ts('secrets-encrypt', 'rotate')).stdout).toMatch(
      /^\d+ Secrets are encrypted with key2; older keys are gone$/m,
    );
    expect((await cluster.k8ts('secrets-encrypt', 'status')).stdout).toContain('Active key: key2');
    expect((await cluster.get('secret', 'kept')).data.p).toBe(ENCODED);
  });
});

describe('administrators', () => {
  const may = async (file: string): Promise<string> => {
    const args = ['--kubeconfig', join(cluster.paths.config, file), 'auth', 'whoami', '-o', 'json'];
    const { stdout } = await cluster.tryKubectl(args);
    return JSON.parse(stdout).status.userInfo.groups.sort().join();
  };

  it('have their rights by a binding, and beside them is a way in that needs none', async () => {
    expect(await may('admin.conf')).toBe('kubeadm:cluster-admins,system:authenticated');
    expect(await may('super-admin.conf')).toBe('system:authenticated,system:masters');
    const binding = await cluster.get('clusterrolebinding', 'kubeadm:cluster-admins');
    expect(binding.roleRef.name).toBe('cluster-admin');
  });
});

describe('k8ts certs', () => {
  const admin = () => join(cluster.paths.config, 'admin.conf');
  /** Whether the cluster works: orders are carried out by every component, with what each believes and shows now. */
  const works = async (name: string): Promise<void> => {
    await cluster.apply(webDeployment(name, 1));
    await cluster.kubectl(
      'wait',
      '--for=condition=Available',
      `deployment/${name}`,
      '--timeout=120s',
    );
    const pod = (await cluster.kubectl('get', 'pod', '-l', `app=${name}`, '-o', 'name')).trim();
    await eventually('the kubelet lets the API server in', () =>
      cluster.kubectl('exec', pod, '--', 'true'),
    );
  };
  const count = (text: string) => text.match(/BEGIN CERTIFICATE/g)?.length ?? 0;

  it('check-expiration shows when each lapses', async () => {
    const { stdout } = await cluster.k8ts('certs', 'check-expiration');
    for (const name of ['admin.conf', 'apiserver', 'front-proxy-client', 'etcd/ca']) {
      expect(stdout).toMatch(new RegExp(`^${name} +\\d{4}-.* UTC +\\d+d`, 'm'));
    }
  });

  it('rotate-ca replaces the authority while everything runs', async () => {
    const components = ['apiserver', 'controller-manager', 'scheduler', 'kubelet', 'proxy'];
    const pids = () => Promise.all(components.map((name) => componentPid(cluster, name)));
    const before = await pids();
    const old = join(cluster.paths.root, 'old-admin.conf');
    copyFileSync(admin(), old);
    await cluster.k8ts('certs', 'rotate-ca');
    await works('both');
    await eventually('Pods are told of the new authority', async () => {
      const { data } = await cluster.get('configmap', 'kube-root-ca.crt');
      return count(data['ca.crt']) === 2;
    });
    await cluster.k8ts('certs', 'rotate-ca', '--drop-old');
    await eventually('who shows a certificate of the old authority is nobody', async () => {
      const args = ['--kubeconfig', old, '--insecure-skip-tls-verify', 'get', 'nodes'];
      const { stderr } = await cluster.tryKubectl(args, { acceptExitCodes: [0, 1] });
      return /Unauthorized|logged in/.test(stderr);
    });
    await works('new');
    expect(await pids()).toEqual(before);
  });
});

/** Files come and go while they are looked at: the cluster runs. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return undefined;
    throw err;
  }
}

function filesBelow(directory: string): string[] {
  const entries = unlessGone(() => readdirSync(directory, { withFileTypes: true })) ?? [];
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

/** What a user without rights can get at: readable or, as a socket, writable, behind directories that let them through. */
function reachableBelow(directory: string): string[] {
  const names = unlessGone(() => readdirSync(directory)) ?? [];
  return names.flatMap((name) => {
    const path = join(directory, name);
    const facts = unlessGone(() => lstatSync(path));
    if (facts === undefined || facts.isSymbolicLink()) return [];
    const { mode } = facts;
    const own = mode & (facts.isSocket() ? 0o002 : 0o004) ? [path] : [];
    return facts.isDirectory() && mode & 0o001 ? [...own, ...reachableBelow(path)] : own;
  });
}
