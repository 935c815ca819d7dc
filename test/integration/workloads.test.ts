import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CRON_JOBS,
  DEPLOYMENTS,
  EVENTS,
  JOBS,
  PODS,
  REPLICATION_CONTROLLERS,
  RESOURCE_QUOTAS,
} from '../../src/api/resource-types.ts';
import { VALIDATING_WEBHOOK_CONFIGURATIONS } from '../../src/api/system-resource-types.ts';
import { kubectlProgram } from '../support/cluster.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { EXIT, type MadeUpNodes, madeUpNodes } from '../support/made-up-nodes.ts';

const run = promisify(execFile);
let plane: ControlPlane;
let nodes: MadeUpNodes;
beforeAll(async () => {
  plane = await startControlPlane({ controllers: true });
  nodes = await madeUpNodes(plane.client, { names: ['n1', 'n2'] });
});
afterAll(async () => {
  await nodes?.stop();
  await plane?.stop();
});

/** What kubectl printed. */
async function kubectl(...args: string[]): Promise<string> {
  const env = { ...process.env, KUBECONFIG: plane.kubeconfig, HOME: plane.root };
  return (await run(kubectlProgram(), args, { env, timeout: 150_000 })).stdout;
}

/** Applies a manifest with kubectl. */
async function apply(manifest: object): Promise<void> {
  const env = { ...process.env, KUBECONFIG: plane.kubeconfig, HOME: plane.root };
  const child = run(kubectlProgram(), ['apply', '-f', '-'], { env, timeout: 150_000 });
  child.child.stdin?.end(JSON.stringify(manifest));
  await child;
}

const key = (name: string) => ({ namespace: 'default', name });
const template = (app: string, image: string, more: object = {}) => ({
  metadata: { labels: { app }, ...more },
  spec: { containers: [{ name: 'c', image }] },
});
const workload = (kind: string, name: string, spec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name },
  spec: { selector: { matchLabels: { app: name } }, template: template(name, 'v1'), ...spec },
});
const podsOf = async (app: string) =>
  (await plane.client.list(PODS, { namespace: 'default', labelSelector: `app=${app}` })).items;
const eventsOf = async (name: string) =>
  (await plane.client.list(EVENTS, { namespace: 'default' })).items.filter(
    (event) => event.involvedObject.name === name,
  );

describe('kubectl', () => {
  it.each([
    ['deployment', workload('Deployment', 'dep', { replicas: 3 })],
    ['statefulset', workload('StatefulSet', 'sts', { replicas: 3, serviceName: 'sts' })],
    ['daemonset', workload('DaemonSet', 'ds')],
  ])('rolls a %s out, back, and tells its history', async (kind, manifest) => {
    const { name } = manifest.metadata;
    const target = `${kind}/${name}`;
    await apply(manifest);
    await kubectl('rollout', 'status', target, '--timeout=120s');
    await kubectl('set', 'image', target, 'c=v2');
    await kubectl('rollout', 'status', target, '--timeout=120s');
    expect((await podsOf(name)).map(({ spec }) => spec?.containers[0]?.image)).not.toContain('v1');
    expect(await kubectl('rollout', 'history', target)).toMatch(/^1 .*\n2 /m);
    await kubectl('rollout', 'undo', target);
    await kubectl('rollout', 'status', target, '--timeout=120s');
    const images = (await podsOf(name)).filter((p) => !p.metadata.deletionTimestamp);
    expect(new Set(images.map(({ spec }) => spec?.containers[0]?.image))).toEqual(new Set(['v1']));
  });

  it('keeps conditions that others write into a status', async () => {
    const own = [
      { op: 'add', path: '/status/conditions/-', value: { type: 'Mine', status: 'True' } },
    ];
    await kubectl(
      'patch',
      'deployment/dep',
      '--subresource=status',
      '--type=json',
      '-p',
      JSON.stringify(own),
    );
    await kubectl('scale', 'deployment/dep', '--replicas=4');
    await kubectl('rollout', 'status', 'deployment/dep', '--timeout=120s');
    const conditions = await kubectl(
      'get',
      'deployment/dep',
      '-o',
      'jsonpath={.status.conditions[*].type}',
    );
    expect(conditions.split(' ').sort()).toEqual(['Available', 'Mine', 'Progressing']);
  });

  it('waits for conditions, drains a node, and autoscales', async () => {
    await kubectl('wait', '--for=condition=Available', 'deployment/dep', '--timeout=120s');
    await kubectl('drain', 'n1', '--ignore-daemonsets', '--force', '--timeout=50s');
    await kubectl('uncordon', 'n1');
    await kubectl('rollout', 'status', 'deployment/dep', '--timeout=120s');
    await kubectl('autoscale', 'deployment/dep', '--min=5', '--max=6', '--cpu=50%');
    await eventually('five Pods', async () => (await podsOf('dep')).length === 5);
    const row = (await kubectl('get', 'hpa', 'dep', '--no-headers')).split(/\s+/);
    expect(row.slice(0, 2)).toEqual(['dep', 'Deployment/dep']);
  });
});

describe('Jobs', () => {
  const job = (name: string, exit: number, spec: object) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: 'default' },
    spec: {
      template: {
        metadata: { annotations: { [EXIT]: String(exit) } },
        spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }] },
      },
      ...spec,
    },
  });
  const indexed = { completionMode: 'Indexed', completions: 3, parallelism: 3 };
  const onExit = (action: string) => [
    { action, onExitCodes: { containerName: 'c', operator: 'In', values: [42] } },
  ];

  it.each<[string, number, object, string]>([
    ['done', 0, { completions: 3, parallelism: 2 }, 'Complete CompletionsReached'],
    ['indexed', 0, indexed, 'Complete CompletionsReached'],
    ['limit', 1, { backoffLimit: 0 }, 'Failed BackoffLimitExceeded'],
    ['per-index', 1, { ...indexed, backoffLimitPerIndex: 0 }, 'Failed FailedIndexes'],
    [
      'max-failed',
      1,
      { ...indexed, backoffLimitPerIndex: 0, maxFailedIndexes: 1 },
      'Failed MaxFailedIndexesExceeded',
    ],
    ['fail-job', 42, { podFailurePolicy: { rules: onExit('FailJob') } }, 'Failed PodFailurePolicy'],
    [
      'fail-index',
      42,
      { ...indexed, backoffLimitPerIndex: 3, podFailurePolicy: { rules: onExit('FailIndex') } },
      'Failed FailedIndexes',
    ],
    [
      'success',
      0,
      {
        ...indexed,
        completions: 5,
        parallelism: 2,
        successPolicy: { rules: [{ succeededCount: 2 }] },
      },
      'Complete SuccessPolicy',
    ],
  ])('%s ends as it should', async (...[name, exit, spec, wanted]) => {
    await plane.client.create(JOBS, job(name, exit, spec) as never);
    await eventually(`the end of ${name}`, async () => {
      const { status } = await plane.client.get(JOBS, key(name));
      const last = status?.conditions?.at(-1);
      return `${last?.type} ${last?.reason}` === wanted;
    });
    const held = (
      await plane.client.list(PODS, { namespace: 'default', labelSelector: `job-name=${name}` })
    ).items;
    expect(held.flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);
  });

  it('goes with its time to live', async () => {
    await plane.client.create(JOBS, job('ttl', 0, { ttlSecondsAfterFinished: 0 }) as never);
    await eventually('no Job', async () => {
      const { items } = await plane.client.list(JOBS, { namespace: 'default' });
      return items.every(({ metadata }) => metadata.name !== 'ttl');
    });
  });
});

/** The time over which the work of a manager without a server is measured: not a wait for something. */
const measuredOutage = () => sleep(8000);

describe('bad input', () => {
  it('quota is exceeded in the middle of a rollout: said on the ReplicaSet, over when it is raised', async () => {
    const quota = { ...key('q'), name: 'q' };
    await apply(workload('Deployment', 'quota', { replicas: 2 }));
    await kubectl('rollout', 'status', 'deployment/quota', '--timeout=120s');
    const pods = (await plane.client.list(PODS, { namespace: 'default' })).items.length;
    await plane.client.create(RESOURCE_QUOTAS, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: quota,
      spec: { hard: { 'count/pods': String(pods) } },
    });
    await eventually(
      'a counted quota',
      async () =>
        (await plane.client.get(RESOURCE_QUOTAS, quota)).status?.used?.['count/pods'] !== undefined,
    );
    // The first Pod of the new template is one more than may be.
    await kubectl('set', 'image', 'deployment/quota', 'c=v2');
    await eventually('a condition that tells', async () => {
      const { status } = await plane.client.get(DEPLOYMENTS, key('quota'));
      return status?.conditions?.some(
        ({ type, message }) => type === 'ReplicaFailure' && message?.includes('exceeded quota: q'),
      );
    });
    await eventually('an event that tells', async () => {
      const { items } = await plane.client.list(EVENTS, { namespace: 'default' });
      const why = items.filter(({ message }) => message?.includes('exceeded quota: q'));
      return why.some(({ reason }) => reason === 'FailedCreate');
    });
    const images = (await podsOf('quota')).map(({ spec }) => spec?.containers[0]?.image);
    expect(images).toEqual(['v1', 'v1']);
    const body = { spec: { hard: { 'count/pods': String(pods + 2) } } };
    await plane.client.patch(RESOURCE_QUOTAS, quota, { type: 'merge', body });
    await kubectl('rollout', 'status', 'deployment/quota', '--timeout=120s');
    await plane.client.delete(RESOURCE_QUOTAS, quota);
  });

  it('a webhook refuses Pods: events and back-off, then recovery', async () => {
    const client = plane.client;
    const hook = { namespace: '', name: 'deny' };
    await client.create(VALIDATING_WEBHOOK_CONFIGURATIONS, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'deny' },
      webhooks: [
        {
          name: 'deny.example.com',
          clientConfig: { url: 'https://127.0.0.1:1/deny' },
          rules: [
            { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] },
          ],
          failurePolicy: 'Fail',
          sideEffects: 'None',
          timeoutSeconds: 1,
          admissionReviewVersions: ['v1'],
          objectSelector: { matchLabels: { app: 'hooked' } },
        },
      ],
    } as never);
    await apply(workload('Deployment', 'hooked'));
    await eventually('an event that tells', async () => {
      const { items } = await client.list(EVENTS, { namespace: 'default' });
      return items.some(
        ({ reason, message }) => reason === 'FailedCreate' && message?.includes('deny.example.com'),
      );
    });
    // 5 ms, and twice as long after each refusal: eleven tries take five seconds.
    const told = await eventually('eleven tries', async () => {
      const { items } = await client.list(EVENTS, { namespace: 'default' });
      const event = items.find(({ message }) => message?.includes('deny.example.com'));
      return (event?.count ?? 0) >= 11 ? event : undefined;
    });
    const first = Date.parse(told.firstTimestamp ?? '');
    expect(Date.now() - first).toBeGreaterThan(5_000);
    const { status } = await client.get(DEPLOYMENTS, key('hooked'));
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' }),
    );
    await client.delete(VALIDATING_WEBHOOK_CONFIGURATIONS, hook);
    await kubectl('rollout', 'status', 'deployment/hooked', '--timeout=120s');
  });

  it('a time zone that does not exist is refused, or told of', async () => {
    const spec = {
      schedule: '* * * * *',
      timeZone: 'Mars/Olympus',
      jobTemplate: {
        spec: {
          template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }] } },
        },
      },
    };
    const cron = { apiVersion: 'batch/v1', kind: 'CronJob', metadata: key('mars'), spec };
    await expect(plane.client.create(CRON_JOBS, cron as never)).rejects.toThrow('time zone');
  });

  it('two ReplicationControllers of the same selector leave each other their Pods', async () => {
    for (const name of ['twin-a', 'twin-b']) {
      await plane.client.create(REPLICATION_CONTROLLERS, {
        apiVersion: 'v1',
        kind: 'ReplicationController',
        metadata: key(name),
        spec: { replicas: 2, selector: { app: 'twin' }, template: template('twin', 'x') },
      } as never);
    }
    await eventually('four Pods', async () => (await podsOf('twin')).length === 4);
    for (const name of ['twin-a', 'twin-b']) {
      const { status } = await eventually('both at two', async () => {
        const found = await plane.client.get(REPLICATION_CONTROLLERS, key(name));
        return found.status?.readyReplicas === 2 ? found : undefined;
      });
      expect(status?.replicas).toBe(2);
    }
    await eventually('an event', async () => (await eventsOf('twin-a')).length > 0);
  });

  it('an API server that is away makes no hot loop, and the work goes on when it is back', async () => {
    const cpu = () => {
      const fields = readFileSync(`/proc/${plane.controllerManager?.pid}/stat`, 'utf8').split(' ');
      return Number(fields[13]) + Number(fields[14]); // hundredths of a second
    };
    await plane.end('apiserver');
    const [began, before] = [Date.now(), cpu()];
    await measuredOutage();
    const share = ((cpu() - before) * 10) / (Date.now() - began);
    expect(share).toBeLessThan(0.1);
    await plane.restart('apiserver');
    await eventually('an API server', () => plane.client.raw('GET', '/version'));
    await kubectl('scale', 'deployment/dep', '--replicas=6');
    await eventually('six Pods', async () => (await podsOf('dep')).length >= 5);
    expect(plane.controllerManager?.exitCode).toBeNull();
  });
});
