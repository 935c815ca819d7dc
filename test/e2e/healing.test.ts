import { globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { commandLineOf, signalProcess } from '../../src/host/processes.ts';
import { eventually } from '../support/eventually.ts';
import { shellPod, webDeployment } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'healing');

/** The processes in the cgroups of a Pod. */
function podProcesses(uid: string): number[] {
  return globSync(`/sys/fs/cgroup/**/*${uid}*/**/cgroup.procs`).flatMap((file) =>
    readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number),
  );
}

describe('the cluster heals', () => {
  beforeAll(async () => {
    await ns.apply(webDeployment('healed', 2));
    await ns.kubectl('rollout', 'status', 'deployment/healed', '--timeout=120s');
  });

  it('a container whose process died: the same Pod, one restart more', async () => {
    const [pod] = (await ns.get('pods', '-l', 'app=healed')).items;
    const [pid] = podProcesses(pod.metadata.uid).filter((p) => commandLineOf(p).includes('httpd'));
    signalProcess(pid ?? 0, 'SIGKILL');
    await eventually('one of the Pods was restarted', async () => {
      const { items } = await ns.get('pods', '-l', 'app=healed');
      return items.some(
        (item: { status: { containerStatuses: { restartCount: number; ready: boolean }[] } }) =>
          item.status.containerStatuses[0]?.restartCount === 1 &&
          item.status.containerStatuses[0].ready,
      );
    });
    const after = await ns.get('pods', '-l', 'app=healed');
    expect(after.items).toHaveLength(2);
  });

  it('a Pod that was deleted: another one takes its place', async () => {
    const [pod] = (await ns.get('pods', '-l', 'app=healed')).items;
    await ns.kubectl('delete', 'pod', pod.metadata.name);
    // The Deployment may not have heard of it yet, and so tell of the two that there were.
    await eventually('there are two, and it is none of them', async () => {
      const { items } = await ns.get('pods', '-l', 'app=healed');
      const names = items.map((item: { metadata: { name: string } }) => item.metadata.name);
      return names.length === 2 && !names.includes(pod.metadata.name);
    });
    await ns.kubectl('rollout', 'status', 'deployment/healed', '--timeout=120s');
  });

  it('a ReplicaSet that was deleted: the Deployment makes it again', async () => {
    const [before] = (await ns.get('replicasets', '-l', 'app=healed')).items;
    await ns.kubectl('delete', 'replicaset', before.metadata.name);
    await eventually('a new ReplicaSet of the same name', async () => {
      const [after] = (await ns.get('replicasets', '-l', 'app=healed')).items;
      return after !== undefined && after.metadata.uid !== before.metadata.uid;
    });
    await ns.kubectl('rollout', 'status', 'deployment/healed', '--timeout=120s');
  });
});

describe('a Job', () => {
  it('whose containers fail at first is complete when they were started again in place', async () => {
    const volumeMounts = [{ name: 'data', mountPath: '/data' }];
    const script = 'test -e /data/tried && exit 0; touch /data/tried; exit 1';
    const { spec } = shellPod('tries', script, { volumeMounts });
    const template = {
      metadata: { labels: { app: 'tries' } },
      spec: {
        ...(spec as object),
        restartPolicy: 'OnFailure',
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    };
    await ns.apply({
      ...{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'tries' } },
      spec: { completions: 2, parallelism: 2, template },
    });
    await ns.kubectl('wait', '--for=condition=complete', 'job/tries', '--timeout=120s');
    expect((await ns.get('job', 'tries')).status).toMatchObject({ succeeded: 2 });
    const { items } = await ns.get('pods', '-l', 'app=tries');
    const restarts = items.map(
      ({ status }: { status: { containerStatuses: { restartCount: number }[] } }) =>
        status.containerStatuses[0]?.restartCount,
    );
    expect(restarts).toEqual([1, 1]);
  });
});

describe('what cannot run says why', () => {
  it('an image that cannot be had: ErrImagePull, then ImagePullBackOff, with events', async () => {
    await ns.apply(shellPod('no-image', 'true', { image: 'localhost/k8ts/missing:1' }));
    await eventually('the back-off', async () => {
      const { status } = await ns.get('pod', 'no-image');
      return status.containerStatuses?.[0].state.waiting?.reason === 'ImagePullBackOff';
    });
    await eventually('the events', async () => {
      const told = await ns.kubectl('describe', 'pod', 'no-image');
      return [
        /Warning +Failed .*Failed to pull image "localhost\/k8ts\/missing:1"/,
        /Warning +Failed .*Error: ErrImagePull/,
        /Normal +BackOff .*Back-off pulling image/,
      ].every((event) => event.test(told));
    });
    await ns.kubectl('delete', 'pod', 'no-image', '--now');
  });

  it('a Pod that fits nowhere: Pending, with the reason of each node', async () => {
    await ns.apply(shellPod('too-big', 'true', { resources: { requests: { cpu: '1000' } } }));
    await eventually('the event', async () => {
      const told = await ns.kubectl('describe', 'pod', 'too-big');
      return /Warning +FailedScheduling .*0\/1 nodes are available: 1 Insufficient cpu/.test(told);
    });
    expect(await ns.kubectl('get', 'pod', 'too-big')).toMatch(/too-big +0\/1 +Pending +0/);
    await ns.kubectl('delete', 'pod', 'too-big');
  });
});

describe('malformed requests', () => {
  it.each([
    ['a broken document', 'kind: [', 'error parsing'],
    [
      'an unknown kind',
      '{"apiVersion":"v1","kind":"Nonsense","metadata":{"name":"a"}}',
      'no matches for kind "Nonsense"',
    ],
    [
      'a wrong version',
      '{"apiVersion":"apps/v7","kind":"Deployment","metadata":{"name":"a"}}',
      'no matches for kind "Deployment" in version "apps/v7"',
    ],
    [
      'an unknown field',
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"dada":{}}',
      'unknown field "dada"',
    ],
    [
      'an invalid name',
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"A_b"}}',
      'metadata.name: Invalid value: "A_b"',
    ],
    [
      'a missing field',
      '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{}}',
      'spec.containers: Required value',
    ],
    [
      'an invalid port',
      '{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":70000}]}}',
      'spec.ports[0].port: Invalid value: 70000',
    ],
  ])('%s is refused, and nothing is changed', async (_what, manifest, message) => {
    // kubectl's own check of kinds that no server has needs OpenAPI v2; without it, discovery refuses them.
    const validate = message.startsWith('no matches') ? ['--validate=false'] : [];
    expect(await ns.refused(['create', '-f', '-', ...validate], manifest)).toContain(message);
    expect(await ns.kubectl('get', 'configmaps,pods,services', '-o', 'name')).not.toMatch(
      /\/(a|A_b)$/m,
    );
  });
});
