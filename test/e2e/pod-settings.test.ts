import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { hostMounts } from '../../src/host/mounts.ts';
import { eventually } from '../support/eventually.ts';
import { list } from '../support/manifests.ts';
import { inPhase, outputOf, podOf, shell } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'settings');
const describePod = (name: string) => ns.kubectl('describe', 'pod', name);
const printed = async (pod: Record<string, unknown>): Promise<string[]> =>
  (await outputOf(ns, pod)).trim().split('\n');

beforeAll(async () => {
  const object = (kind: string, name: string, fields: object) => ({
    apiVersion: 'v1',
    kind,
    metadata: { name },
    ...fields,
  });
  await ns.apply(
    list(
      object('ConfigMap', 'map', { data: { one: '1', 'two.txt': 'second' } }),
      object('Secret', 'secret', { stringData: { password: 'hidden' } }),
    ),
  );
});

describe.concurrent('variables', () => {
  it('come from values, fields, resources, config maps, secrets and files', async () => {
    const from = (valueFrom: object) => ({ valueFrom });
    const env = [
      { name: 'A', value: 'a' },
      { name: 'B', value: '$(A)-$(MISSING)-$$(A)' },
      { name: 'POD', ...from({ fieldRef: { fieldPath: 'metadata.name' } }) },
      { name: 'LABEL', ...from({ fieldRef: { fieldPath: "metadata.labels['app']" } }) },
      { name: 'CPU', ...from({ resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } }) },
      { name: 'MEM', ...from({ resourceFieldRef: { resource: 'requests.memory' } }) },
      { name: 'MAP', ...from({ configMapKeyRef: { name: 'map', key: 'one' } }) },
      { name: 'SECRET', ...from({ secretKeyRef: { name: 'secret', key: 'password' } }) },
      { name: 'NONE', ...from({ secretKeyRef: { name: 'no', key: 'no', optional: true } }) },
      { name: 'FILE', ...from({ fileKeyRef: { volumeName: 'f', path: 'env', key: 'X' } }) },
    ];
    const resources = { requests: { memory: '8Mi' }, limits: { cpu: '250m', memory: '64Mi' } };
    const envFrom = [{ prefix: 'p_', configMapRef: { name: 'map' } }];
    const script =
      'echo "$A|$B|$POD|$LABEL|$CPU|$MEM|$MAP|$SECRET|$NONE|$FILE|$p_one|$KUBERNETES_SERVICE_PORT_HTTPS"';
    const pod = podOf(
      'env',
      [shell('main', script, { env, envFrom, resources })],
      {
        volumes: [{ name: 'f', emptyDir: {} }],
        initContainers: [
          shell('writer', `printf "# made\\nX='from file'\\n" > /f/env`, {
            volumeMounts: [{ name: 'f', mountPath: '/f' }],
          }),
        ],
      },
      { labels: { app: 'x' } },
    );
    expect(await printed(pod)).toEqual([
      'a|a-$(MISSING)-$(A)|env|x|250|8388608|1|hidden||from file|1|443',
    ]);
  });

  it('tell of the Pod and its node, and stand in commands and arguments', async () => {
    const field = (name: string, fieldPath: string) => ({
      name,
      valueFrom: { fieldRef: { fieldPath } },
    });
    const limit = (name: string, resource: string) => ({
      name,
      valueFrom: { resourceFieldRef: { resource } },
    });
    const env = [
      ...[field('UID', 'metadata.uid'), field('IP', 'status.podIP')],
      ...[field('HOST', 'status.hostIP'), field('HOSTS', 'status.hostIPs')],
      // Without limits of its own, a container may use what the node has.
      ...[limit('CPU', 'limits.cpu'), limit('MEMORY', 'limits.memory')],
    ];
    const { image } = shell('main', '') as { image: string };
    const command = ['echo', '$(UID)', '$$(UID)'];
    const args = ['$(IP)', '$(HOST)', '$(HOSTS)', '$(CPU)', '$(MEMORY)'];
    const [line] = await printed(podOf('telling', [{ name: 'main', image, command, args, env }]));
    const { metadata, status, spec } = await ns.get('pod', 'telling');
    const { allocatable } = (await cluster.get('node', spec.nodeName)).status;
    const memory = 1024 * Number(allocatable.memory.replace('Ki', ''));
    expect(line?.split(' ')).toEqual([
      ...[metadata.uid, '$(UID)', status.podIP, status.hostIP, status.hostIP],
      ...[`${Math.ceil(Number(allocatable.cpu))}`, `${memory}`],
    ]);
  });

  it('that are missing keep the container from being made until they are there', async () => {
    const env = [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'coming', key: 'x' } } }];
    await ns.apply(podOf('waiting', [shell('main', 'echo $X', { env })]));
    await eventually('it waits', async () => {
      const [status] = (await ns.get('pod', 'waiting')).status.containerStatuses ?? [];
      const { reason, message } = status?.state.waiting ?? {};
      return reason === 'CreateContainerConfigError' && message === 'configmap "coming" not found';
    });
    await ns.kubectl('create', 'configmap', 'coming', '--from-literal=x=here');
    await inPhase(ns, 'waiting', 'Succeeded');
    expect(await ns.kubectl('logs', 'waiting')).toBe('here\n');
  });
});

describe.concurrent('names', () => {
  it('of the Pod and of hosts are what it asks for', async () => {
    const script =
      'hostname; grep -v "^127\\|^fe00\\|^::1\\|^#\\|^$" /etc/hosts; head -1 /etc/hosts';
    const lines = await printed(
      podOf('named', [shell('main', script)], {
        hostname: 'host',
        subdomain: 'sub',
        setHostnameAsFQDN: true,
        hostAliases: [{ ip: '192.0.2.1', hostnames: ['one', 'two'] }],
      }),
    );
    expect(lines[0]).toBe('host.sub.settings.svc.cluster.local');
    expect(lines[1]).toMatch(/^10\.244\.\d+\.\d+\thost\.sub\.settings\.svc\.cluster\.local/);
    expect(lines.slice(2)).toEqual(['192.0.2.1\tone\ttwo', '# Kubernetes-managed hosts file.']);
  });

  it('are not managed where a Pod has a file of its own, and are the node’s on its network', async () => {
    const path = join(tmpdir(), `k8ts-hosts-${process.pid}`);
    writeFileSync(path, '127.0.0.1 mine\n');
    const volumes = [{ name: 'own', hostPath: { path, type: 'File' } }];
    const volumeMounts = [{ name: 'own', mountPath: '/etc/hosts' }];
    const own = podOf('own-hosts', [shell('main', 'cat /etc/hosts', { volumeMounts })], {
      volumes,
    });
    const hosted = podOf('node-hosts', [shell('main', 'head -1 /etc/hosts')], {
      hostNetwork: true,
    });
    expect(await printed(own)).toEqual(['127.0.0.1 mine']);
    expect(await printed(hosted)).toEqual(['# Kubernetes-managed hosts file (host network).']);
    rmSync(path);
  });

  it('are resolved as dnsPolicy and dnsConfig say', async () => {
    const dnsConfig = {
      nameservers: ['192.0.2.53'],
      searches: ['example.test'],
      options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
    };
    const none = podOf('dns-none', [shell('main', 'cat /etc/resolv.conf')], {
      dnsPolicy: 'None',
      dnsConfig,
    });
    expect(await printed(none)).toEqual([
      'search example.test',
      'nameserver 192.0.2.53',
      'options ndots:2 edns0',
    ]);
    const first = podOf('dns-first', [shell('main', 'cat /etc/resolv.conf')], { dnsConfig });
    const lines = await printed(first);
    expect(lines[0]).toMatch(
      /^search settings\.svc\.cluster\.local svc\.cluster\.local cluster\.local.* example\.test$/,
    );
    expect(lines).toContain('nameserver 10.96.0.10');
    expect(lines).toContain('options ndots:2 edns0');
  });
});

describe.concurrent('the security context', () => {
  const mount = { volumeMounts: [{ name: 'v', mountPath: '/v' }] };

  it('sets users, groups and what files belong to', async () => {
    const part = { name: 'v', mountPath: '/part', subPath: 'made/for/it' };
    const volumeMounts = [...mount.volumeMounts, part];
    const script =
      'id -u; id -g; id -G; touch /v/file /part/file; stat -c "%u %g %a" /v /v/file /part /part/file';
    const lines = await printed(
      podOf('user', [shell('main', script, { volumeMounts })], {
        securityContext: { runAsUser: 1001, runAsGroup: 1002, fsGroup: 1003 },
        volumes: [{ name: 'v', emptyDir: {} }],
      }),
    );
    // A part that is made is as open as the whole.
    const made = ['0 1003 2777', '1001 1003 644'];
    expect(lines).toEqual(['1001', '1002', '1002 1003', ...made, ...made]);
  });

  it('takes powers away', async () => {
    const script =
      'grep -E "CapEff|NoNewPrivs|^Seccomp:" /proc/self/status | tr -s "\\t" " "; touch /x 2>&1; wc -c < /proc/interrupts';
    const securityContext = {
      capabilities: { drop: ['ALL'] },
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      seccompProfile: { type: 'RuntimeDefault' },
    };
    const lines = await printed(podOf('weak', [shell('main', script, { securityContext })]));
    expect(lines).toEqual([
      'CapEff: 0000000000000000',
      'NoNewPrivs: 1',
      'Seccomp: 2',
      'touch: /x: Read-only file system',
      '0',
    ]);
  });

  it('refuses root where it must not be', async () => {
    const securityContext = { runAsNonRoot: true };
    await ns.apply(podOf('root', [shell('main', 'true', { securityContext })]));
    await eventually('the refusal', async () => {
      const [status] = (await ns.get('pod', 'root')).status.containerStatuses ?? [];
      return (
        status?.state.waiting?.reason === 'CreateContainerConfigError' &&
        /image will run as root/.test(status.state.waiting.message)
      );
    });
  });

  it('sets safe sysctls and refuses others', async () => {
    const sysctls = (name: string) => ({ securityContext: { sysctls: [{ name, value: '1' }] } });
    const safe = podOf(
      'sysctl',
      [shell('main', 'cat /proc/sys/kernel/shm_rmid_forced')],
      sysctls('kernel.shm_rmid_forced'),
    );
    expect(await printed(safe)).toEqual(['1']);
    await ns.apply(podOf('unsafe', [shell('main', 'true')], sysctls('kernel.msgmax')));
    const { status } = await inPhase(ns, 'unsafe', 'Failed');
    expect(status).toMatchObject({
      reason: 'SysctlForbidden',
      message: 'forbidden sysctl: "kernel.msgmax" not allowlisted',
    });
  });

  it('shares processes', async () => {
    const script = 'until ps | grep -q "[s]leep 54321"; do sleep 0.1; done; echo seen';
    await ns.apply(
      podOf('shared', [shell('other', 'exec sleep 54321'), shell('main', script)], {
        shareProcessNamespace: true,
      }),
    );
    const seen = async () => (await ns.kubectl('logs', 'shared', '-c', 'main')).trim();
    await eventually('it is seen', async () => (await seen()) === 'seen');
  });
});

describe.concurrent('volumes', () => {
  it('in memory are no larger than they may be', async () => {
    const pod = podOf(
      'memory',
      [
        shell('main', 'df -k /v | tail -1; mount | grep " /v "; stat -c %a /v', {
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        }),
      ],
      { volumes: [{ name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '4Mi' } }] },
    );
    const lines = await printed(pod);
    expect(lines[0]).toMatch(/^tmpfs +4096 /);
    expect(lines[1]).toContain('type tmpfs');
    expect(lines[2]).toBe('1777');
  });

  it('project files with their modes', async () => {
    const volumes = [
      {
        name: 'v',
        projected: {
          defaultMode: 0o440,
          sources: [
            { configMap: { name: 'map', items: [{ key: 'one', path: 'deep/one', mode: 0o400 }] } },
            { secret: { name: 'secret' } },
            { configMap: { name: 'no', optional: true } },
            {
              downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] },
            },
            { serviceAccountToken: { path: 'token', audience: 'me', expirationSeconds: 600 } },
          ],
        },
      },
    ];
    const script =
      'cd /v; cat deep/one password name; echo; stat -L -c "%n %a" deep/one password; cut -d. -f2 token | tr "_-" "/+" | base64 -d 2>/dev/null | grep -o \'"aud":\\["me"\\]\'';
    const lines = await printed(
      podOf(
        'projected',
        [shell('main', script, { volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
        { volumes },
      ),
    );
    expect(lines).toEqual(['1hiddenprojected', 'deep/one 400', 'password 440', '"aud":["me"]']);
  });

  it('follow changes of what they show within seconds', async () => {
    await ns.kubectl('create', 'configmap', 'changing', '--from-literal=key=old');
    const volumes = [
      { name: 'map', configMap: { name: 'changing' } },
      { name: 'later', configMap: { name: 'later', optional: true } },
      {
        name: 'labels',
        downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: 'metadata.labels' } }] },
      },
    ];
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
    await ns.apply(
      podOf('following', [shell('main', 'sleep 3600', { volumeMounts })], { volumes }),
    );
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/following', '--timeout=120s');
    const file = (path: string) => ns.kubectl('exec', 'following', '--', 'cat', path);
    expect(await file('/map/key')).toBe('old');
    await ns.kubectl('patch', 'configmap', 'changing', '-p', '{"data":{"key":"new"}}');
    await ns.kubectl('create', 'configmap', 'later', '--from-literal=key=there');
    await ns.kubectl('label', 'pod', 'following', 'colour=green');
    const shows = (path: string, text: string) =>
      eventually(path, async () => (await file(path)).includes(text));
    await shows('/map/key', 'new');
    await shows('/later/key', 'there');
    await shows('/labels/l', 'colour="green"');
  });

  it('are mounted in part, at paths made of variables', async () => {
    const env = [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
    const volumeMounts = [
      { name: 'v', mountPath: '/whole' },
      { name: 'v', mountPath: '/part', subPathExpr: 'pods/$(POD)' },
      { name: 'm', mountPath: '/etc/two', subPath: 'two.txt' },
      { name: 'v', mountPath: '/locked', readOnly: true },
    ];
    const script =
      'echo x > /part/file; ls /whole/pods/parts; cat /etc/two; echo; touch /locked/x 2>&1';
    const lines = await printed(
      podOf('parts', [shell('main', script, { env, volumeMounts })], {
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'm', configMap: { name: 'map' } },
        ],
      }),
    );
    expect(lines).toEqual(['file', 'second', 'touch: /locked/x: Read-only file system']);
  });

  it('with a path that cannot be wait until it can', async () => {
    const env = [
      { name: 'PART', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['part']" } } },
    ];
    const volumeMounts = [{ name: 'v', mountPath: '/v', subPathExpr: '$(PART)/x' }];
    await ns.apply(
      podOf('later-path', [shell('main', 'true', { env, volumeMounts })], {
        volumes: [{ name: 'v', emptyDir: {} }],
      }),
    );
    await eventually('the refusal', async () => {
      const [status] = (await ns.get('pod', 'later-path')).status.containerStatuses ?? [];
      return /must not be an absolute path/.test(status?.state.waiting?.message ?? '');
    });
    await ns.kubectl('annotate', 'pod', 'later-path', 'part=good');
    await inPhase(ns, 'later-path', 'Succeeded');
  });
});

describe('host paths', () => {
  const scratch = join(tmpdir(), `k8ts-settings-${process.pid}`);
  beforeAll(() => {
    mkdirSync(join(scratch, 'inside'), { recursive: true });
    symlinkSync('/etc', join(scratch, 'escape'));
    writeFileSync(join(scratch, 'file'), 'text');
  });
  afterAll(async () => {
    for (const { path } of (await hostMounts.list()).reverse()) {
      if (path.startsWith(scratch)) await hostMounts.unmount(path);
    }
    rmSync(scratch, { recursive: true, force: true });
  });
  // Mounts only once every container is there: what is mounted before is seen by all.
  const MAKER =
    'until test -f /v/go; do sleep 0.1; done; mkdir /v/made; mount -t tmpfs made /v/made; sleep 3600';
  const volumes = (type: string, path = scratch) => [{ name: 'v', hostPath: { path, type } }];

  it('of the wrong type are told', async () => {
    const container = shell('main', 'true', { volumeMounts: [{ name: 'v', mountPath: '/v' }] });
    await ns.apply(podOf('wrong-type', [container], { volumes: volumes('File') }));
    await eventually('the event', async () =>
      (await describePod('wrong-type')).includes(
        `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ${scratch} is not a file`,
      ),
    );
  });

  it('do not let a link lead out of a part of them', async () => {
    const volumeMounts = [{ name: 'v', mountPath: '/v', subPath: 'escape' }];
    const container = shell('main', 'true', { volumeMounts });
    await ns.apply(podOf('escaping', [container], { volumes: volumes('Directory') }));
    await eventually('the refusal', async () =>
      (await describePod('escaping')).includes('not within volume path'),
    );
    expect((await ns.get('pod', 'escaping')).status.phase).toBe('Pending');
  });

  it('share mounts in the direction that the container asks for', async () => {
    await hostMounts.mount({ source: scratch, target: scratch, options: ['bind'] });
    await run('mount', ['--make-rshared', scratch]);
    const mounts = (mountPropagation: string) => [{ name: 'v', mountPath: '/v', mountPropagation }];
    await ns.apply(
      podOf(
        'propagating',
        [
          shell('maker', MAKER, {
            securityContext: { privileged: true },
            volumeMounts: mounts('Bidirectional'),
          }),
          shell('seer', 'sleep 3600', { volumeMounts: mounts('HostToContainer') }),
          shell('alone', 'sleep 3600', { volumeMounts: mounts('None') }),
        ],
        { volumes: volumes('Directory') },
      ),
    );
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/propagating', '--timeout=120s');
    writeFileSync(join(scratch, 'go'), '');
    const seenBy = async (container: string) =>
      (
        await ns.kubectl('exec', 'propagating', '-c', container, '--', 'cat', '/proc/mounts')
      ).includes(' /v/made ');
    await eventually('the host sees it', async () =>
      (await hostMounts.list()).some((m) => m.path === join(scratch, 'made')),
    );
    await eventually('the other container sees it', () => seenBy('seer'));
    expect(await seenBy('alone')).toBe(false);
    await ns.kubectl('delete', 'pod', 'propagating');
  });
});

describe.concurrent('what the node does not have', () => {
  it('is refused by name', async () => {
    await cluster.apply({
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'absent' },
      handler: 'no-such-handler',
    });
    await ns.apply(
      list(
        podOf('class', [shell('main', 'true')], { runtimeClassName: 'absent' }),
        podOf('users', [shell('main', 'true')], { hostUsers: false }),
      ),
    );
    const tells = (name: string, text: RegExp) =>
      eventually(`${name}: ${text}`, async () => text.test(await describePod(name)));
    await tells('class', /FailedCreatePodSandBox .*no-such-handler/);
    await tells('users', /FailedCreatePodSandBox .*runtime does not support user namespaces/);
    await cluster.kubectl('delete', 'runtimeclass', 'absent');
  });
});
