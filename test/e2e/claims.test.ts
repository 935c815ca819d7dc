import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NODE_NAME } from '../support/cluster.ts';
import { startDraDriver, type TestDraDriver } from '../support/dra-driver.ts';
import { eventually } from '../support/eventually.ts';
import { list } from '../support/manifests.ts';
import { podOf, shell } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'claims');
const DRIVER = 'things.test';
const API = { apiVersion: 'resource.k8s.io/v1' };
let directory = '';
let driver: TestDraDriver;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-dra-'));
  driver = await startDraDriver({
    name: DRIVER,
    kubeletRoot: join(cluster.paths.state, 'kubelet'),
    directory,
    devices: ['a', 'b'],
    allocated: async (namespace, name) => {
      const claim = await cluster.get('-n', namespace, 'resourceclaim', name);
      return claim.status.allocation.devices.results;
    },
  });
  expect(await driver.registered).toMatchObject({ pluginRegistered: true });
  const selectors = [{ cel: { expression: `device.driver == '${DRIVER}'` } }];
  const devices = { requests: [{ name: 'one', exactly: { deviceClassName: DRIVER } }] };
  await cluster.apply(
    list(
      { ...API, kind: 'DeviceClass', metadata: { name: DRIVER }, spec: { selectors } },
      {
        ...{ ...API, kind: 'ResourceSlice', metadata: { name: `${NODE_NAME}-${DRIVER}` } },
        spec: {
          ...{ driver: DRIVER, nodeName: NODE_NAME, devices: [{ name: 'a' }, { name: 'b' }] },
          pool: { name: 'pool', generation: 1, resourceSliceCount: 1 },
        },
      },
    ),
  );
  await ns.apply(
    list(
      { ...API, kind: 'ResourceClaim', metadata: { name: 'shared' }, spec: { devices } },
      {
        ...{ ...API, kind: 'ResourceClaimTemplate', metadata: { name: 'own' } },
        spec: { spec: { devices } },
      },
    ),
  );
});

afterAll(async () => {
  driver.stop();
  rmSync(directory, { recursive: true, force: true });
  const slice = `${NODE_NAME}-${DRIVER}`;
  await cluster.kubectl('delete', 'deviceclass', DRIVER, '--ignore-not-found');
  await cluster.kubectl('delete', 'resourceslice', slice, '--ignore-not-found');
});

const claiming = (name: string, source: object) => {
  const main = shell('main', 'sleep 3600', { resources: { claims: [{ name: 'thing' }] } });
  return podOf(name, [main], { resourceClaims: [{ name: 'thing', ...source }] });
};
const ready = (name: string) =>
  ns.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');
const thingOf = (pod: string) =>
  ns.kubectl('exec', pod, '--', 'sh', '-c', 'test -c /dev/thing && echo $THING');
const callsOf = (method: string) =>
  driver.calls
    .filter((call) => call.method === method)
    .map(({ request }) => request.claims[0].name);

describe('resource claims', () => {
  it('made from a template have their devices made ready, and given up when the Pod has ended', async () => {
    await ns.apply(claiming('alone', { resourceClaimTemplateName: 'own' }));
    await ready('alone');
    expect(await thingOf('alone')).toMatch(/^[ab]$/m);
    const [claim = ''] = callsOf('NodePrepareResources');
    expect(claim).toMatch(/^alone-thing-/);
    await ns.kubectl('delete', 'pod', 'alone');
    await eventually('it is given up', () => callsOf('NodeUnprepareResources').includes(claim));
  });

  it('that Pods share are made ready once, and given up after the last of them', async () => {
    const source = { resourceClaimName: 'shared' };
    await ns.apply(list(claiming('first', source), claiming('second', source)));
    await Promise.all([ready('first'), ready('second')]);
    expect(await thingOf('second')).toBe(await thingOf('first'));
    const count = (method: string) => callsOf(method).filter((name) => name === 'shared').length;
    expect(count('NodePrepareResources')).toBe(1);
    await ns.kubectl('delete', 'pod', 'first');
    expect(count('NodeUnprepareResources')).toBe(0);
    await ns.kubectl('delete', 'pod', 'second');
    expect(count('NodeUnprepareResources')).toBe(1);
  });

  it('that the driver cannot make ready are told of, and asked for again', async () => {
    driver.fail('NodePrepareResources', new Error('the thing is broken'));
    await ns.apply(claiming('unlucky', { resourceClaimTemplateName: 'own' }));
    await eventually('the event', async () =>
      /FailedPrepareDynamicResources .*the thing is broken/.test(
        await ns.kubectl('describe', 'pod', 'unlucky'),
      ),
    );
    driver.fail('NodePrepareResources', undefined);
    await ready('unlucky');
    await ns.kubectl('delete', 'pod', 'unlucky');
  });
});
