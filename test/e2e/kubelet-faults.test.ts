import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostMounts } from '../../src/host/mounts.ts';
import { signalProcess } from '../../src/host/processes.ts';
import { kubectlProgram, NODE_NAME } from '../support/cluster.ts';
import { componentPid } from '../support/component-pid.ts';
import { eventually } from '../support/eventually.ts';
import { list } from '../support/manifests.ts';
import { tracesOfGonePods } from '../support/pod-traces.ts';
import { inPhase, podOf, shell } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'faults');
const describePod = (name: string) => ns.kubectl('describe', 'pod', name);
const ready = (name: string) =>
  ns.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');

/** How many network devices there are more than Pods that have one. */
async function spareDevices(): Promise<number> {
  const args = ['-brief', 'link', 'show', 'type', 'veth'];
  const { stdout } = await cluster.network.run('ip', args);
  const { items } = await cluster.get('pods', '--all-namespaces');
  const networked = items.filter(
    ({ spec, status }: { spec: Record<string, unknown>; status: Record<string, unknown> }) =>
      !spec.hostNetwork && status.podIP && !['Succeeded', 'Failed'].includes(`${status.phase}`),
  );
  const devices = stdout.split('\n').filter((line) => line.startsWith('veth'));
  return devices.length - networked.length;
}

/** By how many megabytes a process is larger at most, while something is done, than it was before. */
async function growthWhile(pid: number, work: () => Promise<unknown>): Promise<number> {
  const memory = (): number => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  };
  const before = memory();
  let peak = before;
  const watching = setInterval(() => {
    peak = Math.max(peak, memory());
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(watching);
  }
  return peak - before;
}

describe('a container', () => {
  it('whose probe prints without end does not hurt the others', async () => {
    const noisy = { exec: { command: ['sh', '-c', 'yes'] }, periodSeconds: 1, failureThreshold: 1 };
    const quiet = { exec: { command: ['true'] }, periodSeconds: 1 };
    await ns.apply(
      list(
        podOf('noisy', [shell('main', 'sleep 3600', { readinessProbe: noisy })]),
        podOf('quiet', [shell('main', 'sleep 3600', { readinessProbe: quiet })]),
      ),
    );
    await ready('quiet');
    await eventually('the probe is told', async () =>
      /Unhealthy .*Readiness probe failed: command timed out/.test(await describePod('noisy')),
    );
    const { status } = await ns.get('pod', 'noisy');
    expect(status.containerStatuses[0]).toMatchObject({ ready: false, restartCount: 0 });
    await ns.kubectl('delete', 'pod', 'noisy', 'quiet');
  });

  it('that prints a line of 100 MB is read whole, and the kubelet holds no such line', async () => {
    const pid = await componentPid(cluster, 'kubelet');
    const script = "head -c 100000000 /dev/zero | tr '\\0' x; echo; touch /written; sleep 3600";
    const readinessProbe = { exec: { command: ['test', '-e', '/written'] }, periodSeconds: 1 };
    await ns.apply(podOf('long', [shell('main', script, { readinessProbe })]));
    await ready('long');
    const env = { KUBECONFIG: cluster.paths.kubeconfig('admin'), KUBECTL: kubectlProgram() };
    const line = `$KUBECTL -n ${ns.name} logs long | wc -c`;
    // Not all that it ever had: tests before may have made it large.
    const growth = await growthWhile(pid, () =>
      eventually('all of it is there', async () => {
        const { stdout } = await cluster.network.run('sh', ['-c', line], { env });
        return Number(stdout) === 100_000_001;
      }),
    );
    expect(await componentPid(cluster, 'kubelet')).toBe(pid);
    expect(growth).toBeLessThan(280);
    await ns.kubectl('delete', 'pod', 'long');
  });

  it('with more variables than the kernel takes says so', async () => {
    const env = Array.from({ length: 25 }, (_, i) => ({
      name: `V${i}`,
      value: 'x'.repeat(100_000),
    }));
    // Created, not applied: an annotation with all of it once more would be too much for the API.
    const input = JSON.stringify(podOf('heavy', [shell('main', 'true', { env })]));
    await cluster.tryKubectl(['-n', ns.name, 'create', '-f', '-'], { input });
    const { status } = await inPhase(ns, 'heavy', 'Failed');
    expect(status.containerStatuses[0].state.terminated.exitCode).not.toBe(0);
    expect(await ns.kubectl('logs', 'heavy')).toMatch(/argument list too long/);
    await ns.kubectl('delete', 'pod', 'heavy');
  });

  it('with 1,000 variables of 100 kB says so, and the kubelet lives', async () => {
    const pid = await componentPid(cluster, 'kubelet');
    const data = { big: 'x'.repeat(100_000) };
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'big' }, data };
    const input = JSON.stringify(map);
    await cluster.tryKubectl(['-n', ns.name, 'create', '-f', '-'], { input });
    const valueFrom = { configMapKeyRef: { name: 'big', key: 'big' } };
    const env = Array.from({ length: 1000 }, (_, i) => ({ name: `V${i}`, valueFrom }));
    await ns.apply(podOf('heaviest', [shell('main', 'true', { env })]));
    await eventually('it is told', async () => {
      const { status } = await ns.get('pod', 'heaviest');
      return status.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerError';
    });
    await eventually('the event', async () =>
      /Failed .*message larger than max/.test(await describePod('heaviest')),
    );
    expect(await componentPid(cluster, 'kubelet')).toBe(pid);
    await ns.kubectl('delete', 'pod', 'heaviest');
    await ns.kubectl('delete', 'configmap', 'big');
  });
});

describe('a node without CNI configuration', () => {
  const { config } = cluster.paths.cni;
  const away = `${config}.away`;
  afterAll(() => existsSync(away) && restore());
  // Written, not renamed: containerd looks at its directory again when a file in it is written.
  const move = (from: string, to: string) => {
    mkdirSync(to, { recursive: true });
    for (const name of readdirSync(from)) {
      copyFileSync(join(from, name), join(to, name));
      rmSync(join(from, name));
    }
  };
  const restore = () => {
    move(away, config);
    rmdirSync(away);
  };

  it('says so in the Pod, which starts when the configuration is back', async () => {
    move(config, away);
    // Past the scheduler: the kubelet may have told already that its node is not ready.
    const spec = { nodeName: NODE_NAME };
    await ns.apply(podOf('unplugged', [shell('main', 'sleep 3600')], spec));
    await eventually('the event', async () =>
      /Warning +(NetworkNotReady|FailedCreatePodSandBox) .*cni/.test(
        await describePod('unplugged'),
      ),
    );
    restore();
    await ready('unplugged');
    await ns.kubectl('delete', 'pod', 'unplugged');
  });
});

describe('a network plugin that fails', () => {
  const { data } = cluster.paths.cni;
  const covered = async () => (await hostMounts.list()).some(({ path }) => path === data);
  afterAll(async () => {
    if (await covered()) await hostMounts.unmount(data);
  });

  it('is told with its own words, and the Pod starts when the plugin does its work again', async () => {
    // Where host-local writes down which addresses are taken.
    await hostMounts.mount({ source: 'tmpfs', target: data, fsType: 'tmpfs', options: ['ro'] });
    await ns.apply(podOf('addressless', [shell('main', 'sleep 3600')]));
    await eventually('the event', async () =>
      /FailedCreatePodSandBox .*plugin type="bridge" failed \(add\):.* read-only file system/.test(
        await describePod('addressless'),
      ),
    );
    await hostMounts.unmount(data);
    await ready('addressless');
    await ns.kubectl('delete', 'pod', 'addressless');
    await eventually('no attempt left a device', async () => (await spareDevices()) <= 0);
  });
});

describe('a disk that', () => {
  const pods = join(cluster.paths.state, 'kubelet', 'pods');
  const covered = async () => (await hostMounts.list()).some(({ path }) => path === pods);
  afterAll(async () => {
    if (await covered()) await hostMounts.unmount(pods);
  });

  it.each([
    ['is full', 'size=4k,nr_inodes=1', /no space left on device/],
    ['can only be read', 'ro', /read-only file system/],
  ])(
    '%s is told in an event, the others go on, and the Pod starts when it is mended',
    async (what, options, message) => {
      const name = what.replaceAll(' ', '-');
      await ns.apply(podOf('beside', [shell('main', 'sleep 3600')]));
      await ready('beside');
      const pid = await componentPid(cluster, 'kubelet');
      // Over the directories of all Pods: what runs has what it needs of them.
      await hostMounts.mount({
        source: 'tmpfs',
        target: pods,
        fsType: 'tmpfs',
        options: [options],
      });
      await ns.apply(podOf(name, [shell('main', 'sleep 3600')]));
      await eventually('the event', async () => {
        const text = await describePod(name);
        return text.includes('FailedToMakePodDataDirectories') && message.test(text);
      });
      await ns.kubectl('exec', 'beside', '--', 'true');
      await hostMounts.unmount(pods);
      await ready(name);
      expect(await componentPid(cluster, 'kubelet')).toBe(pid);
      expect((await ns.get('pod', 'beside')).status.containerStatuses[0].restartCount).toBe(0);
      await ns.kubectl('delete', 'pod', name, 'beside');
    },
  );
});

describe('many Pods', () => {
  // More of them by hand: K8TS_RANDOM_PODS=500.
  const COUNT = Number(process.env.K8TS_RANDOM_PODS ?? 40);
  // The same Pods in every run; a failure can be looked at again.
  let seed = 20_260;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;

  beforeAll(async () => {
    await ns.kubectl('delete', 'pods', '--all', '--now');
  });

  function randomPod(name: string) {
    const scripts = ['sleep 3600', 'exit 0', 'exit 1', 'trap "" TERM; sleep 3600 & wait'];
    const volumes = [
      { name: 'v', emptyDir: pick([{}, { medium: 'Memory' }]) },
      { name: 'd', downwardAPI: { items: [] } },
    ].slice(0, random(3));
    const volumeMounts = volumes.map((v) => ({
      name: v.name,
      mountPath: `/${v.name}`,
      ...(v.name === 'v' && random(2) === 0 ? { subPath: 'part' } : {}),
    }));
    const container = (own: string) => shell(own, pick(scripts), { volumeMounts });
    return podOf(name, ['a', 'b'].slice(0, 1 + random(2)).map(container), {
      volumes,
      restartPolicy: pick(['Always', 'OnFailure', 'Never']),
      terminationGracePeriodSeconds: random(2),
      ...(random(3) === 0 ? { initContainers: [shell('init', pick(['true', 'exit 1']))] } : {}),
      ...(random(8) === 0 ? { hostNetwork: true } : {}),
    });
  }

  it(
    'with the kubelet killed among them leave nothing behind',
    async () => {
      const names = Array.from({ length: COUNT }, (_, i) => `random-${i}`);
      let living: string[] = [];
      for (let at = 0; at < COUNT; at += 10) {
        const born = names.slice(at, at + 10);
        await ns.apply(list(...born.map(randomPod)));
        if (at % 20 === 10) signalProcess(await componentPid(cluster, 'kubelet'), 'SIGKILL');
        const doomed = [...living, ...born].filter(() => random(2) === 0);
        living = [...living, ...born].filter((name) => !doomed.includes(name));
        await ns.kubectl('delete', 'pods', '--ignore-not-found', '--wait=false', ...doomed);
      }
      // Some are deleted while nobody watches.
      signalProcess(await componentPid(cluster, 'kubelet'), 'SIGKILL');
      await ns.kubectl('delete', 'pods', '--all', '--grace-period=0', '--force');
      await eventually(
        'no trace is left',
        async () => {
          const traces = await tracesOfGonePods(cluster);
          if (traces.length > 0) throw new Error(traces.slice(0, 10).join('\n'));
          expect(await spareDevices()).toBeLessThanOrEqual(0);
          return true;
        },
        120_000 + 200 * COUNT,
      );
    },
    180_000 + 1500 * COUNT,
  );
});
