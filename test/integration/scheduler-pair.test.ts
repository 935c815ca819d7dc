import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LEASES, NODES, PODS, SERVICE_ACCOUNTS } from '../../src/api/resource-types.ts';
import type { Draft, Pod } from '../../src/api/types.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

const K8TS = resolve(import.meta.dirname, '../../bin/k8ts');
const HERE = { namespace: 'default' };
const LEASE = { namespace: 'kube-system', name: 'kube-scheduler' };

let plane: ControlPlane;
const children: ChildProcess[] = [];
beforeAll(async () => {
  plane = await startControlPlane();
  const { client } = plane;
  await client.create(SERVICE_ACCOUNTS, {
    ...{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', ...HERE } },
  });
  const room = { cpu: '100', memory: '100Gi', pods: '1000' };
  await client.create(NODES, {
    ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'one' } },
    status: { allocatable: room, capacity: room },
  });
});
afterAll(async () => {
  await Promise.all(children.map(end));
  await plane?.stop();
});

function pod(name: string, schedulerName: string): Draft<Pod> {
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, ...HERE } },
    spec: { schedulerName, containers: [{ name: 'main', image: 'pause' }] },
  };
}

const nodeOf = async (name: string) =>
  (await plane.client.get(PODS, { ...HERE, name })).spec?.nodeName;
const placed = (name: string) => eventually(`${name} has a node`, () => nodeOf(name));
const holder = async () => (await plane.client.get(LEASES, LEASE)).spec?.holderIdentity;

/** Another scheduler, with a configuration of its own. */
function start(name: string, fields: object): ChildProcess {
  const file = join(plane.root, `${name}.yaml`);
  const head = {
    ...{ apiVersion: 'kubescheduler.config.k8s.io/v1', kind: 'KubeSchedulerConfiguration' },
    clientConnection: { kubeconfig: join(plane.root, 'etc/k8ts/scheduler.conf') },
  };
  writeFileSync(file, JSON.stringify({ ...head, ...fields }));
  const args = ['scheduler', '--config', file, '--secure-port', '0'];
  const child = spawn(K8TS, args, { stdio: 'ignore' });
  children.push(child);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await ended;
}

describe('two schedulers', () => {
  it('each place the Pods that name them', async () => {
    const election = { leaderElection: { leaderElect: false } };
    const mine = start('mine', { ...election, profiles: [{ schedulerName: 'mine' }] });
    await plane.client.create(PODS, pod('mine', 'mine'));
    await plane.client.create(PODS, pod('usual', 'default-scheduler'));
    await plane.client.create(PODS, pod('nobody', 'nobody'));
    expect([await placed('mine'), await placed('usual')]).toEqual(['one', 'one']);
    await end(mine);
    await plane.client.create(PODS, pod('mine-too', 'mine'));
    await plane.client.create(PODS, pod('usual-too', 'default-scheduler'));
    await placed('usual-too');
    expect([await nodeOf('mine-too'), await nodeOf('nobody')]).toEqual([undefined, undefined]);
  });

  it('work on by themselves when the API server has been away', async () => {
    await plane.end('apiserver');
    await plane.restart('apiserver');
    await eventually('the API server answers', async () => {
      await plane.client.create(PODS, pod('after', 'default-scheduler'));
      return true;
    });
    expect(await placed('after')).toBe('one');
  });

  it('of one name take turns: the second works when the first has died', async () => {
    await plane.end('scheduler');
    const leaderElection = {
      ...{ leaderElect: true, leaseDuration: '8s', renewDeadline: '7s', retryPeriod: '500ms' },
    };
    const first = start('first', { leaderElection });
    const leader = await eventually('the first leads', holder);
    start('second', { leaderElection });
    await plane.client.create(PODS, pod('by-first', 'default-scheduler'));
    await placed('by-first');
    expect(await holder()).toBe(leader);
    await end(first);
    await plane.client.create(PODS, pod('by-second', 'default-scheduler'));
    await placed('by-second');
    expect(await holder()).not.toBe(leader);
  });
});
