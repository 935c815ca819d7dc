import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NODES } from '../../src/api/resource-types.ts';
import { FakeEvents } from '../../src/client/events.fake.ts';
import { createClient, type RestClient } from '../../src/client/rest-client.ts';
import { machineFacts } from '../../src/host/machine.ts';
import { DEFAULTS } from '../../src/kubelet/config.ts';
import { NodeReporter, type NodeReporterDeps } from '../../src/kubelet/node/node-reporter.ts';
import type { ContainerRuntime } from '../../src/kubelet/runtime/runtime.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

const NAME = 'node-1';
let server: TestApiServer;
let client: RestClient;
let reporter: NodeReporter;
let afterReboot: () => NodeReporter;
let another: (changes: Partial<NodeReporterDeps>) => NodeReporter;
const events = new FakeEvents();
let running: Promise<void>;
let early: Record<string, string>;
const stop = new AbortController();
let devices = { capacity: {}, allocatable: {} };
let volumesInUse: string[] = [];
let failures = 0;
let isDown = false;
const counting = {
  ...silent,
  warn: () => {
    failures++;
  },
};

beforeAll(async () => {
  server = await startApiServer();
  client = await createClient(server.kubeconfig);
  const runtime: Partial<ContainerRuntime> = {
    status: async () => {
      if (isDown) throw new Error('no runtime');
      return { conditions: [], handlers: [], features: { supplementalGroupsPolicy: true } };
    },
    version: async () => ({ runtimeName: 'r', runtimeVersion: '1', runtimeApiVersion: 'v1' }),
    listImages: async () => [],
  };
  const deps = {
    client,
    runtime: runtime as ContainerRuntime,
    recorder: events,
    clock: realClock,
    log: counting,
    machine: await machineFacts(),
    config: DEFAULTS,
    name: NAME,
    rootDir: '/',
    labels: {},
    addresses: () => ['192.0.2.1'],
    gitVersion: 'v0',
    conditions: async () => ({
      problems: [],
      pressure: { memory: false, disk: false, pid: false },
    }),
    devices: () => devices,
    volumesInUse: () => volumesInUse,
    onPodCidr: () => {},
  };
  reporter = new NodeReporter(deps);
  another = (changes) => new NodeReporter({ ...deps, ...changes });
  afterReboot = () => another({ machine: { ...deps.machine, bootId: 'the-next-one' } });
  early = reporter.allocatable();
  running = reporter.run(stop.signal);
});
afterAll(async () => {
  stop.abort();
  await running;
  client.close();
  await server.stop();
});

const status = async () => (await client.get(NODES, { namespace: '', name: NAME })).status ?? {};

const told = (reason: string): string[] =>
  events.lines
    .filter((line) => line.split(' ')[1] === reason)
    .map((line) => line.slice(line.indexOf(': ') + 2));

describe('NodeReporter', () => {
  it('knows its runtime, whose name is in each container id, before it runs', async () => {
    const fresh = afterReboot();
    await fresh.meetRuntime(stop.signal);
    expect(fresh.runtimeName).toBe('r');
  });

  it('makes the node Ready, with its addresses', async () => {
    await eventually('it is ready', async () =>
      (await status()).conditions?.some((c) => c.type === 'Ready' && c.status === 'True'),
    );
    expect((await status()).addresses).toEqual([
      { type: 'InternalIP', address: '192.0.2.1' },
      { type: 'Hostname', address: NAME },
    ]);
  });

  it('knows what pods can have before it has told so', async () => {
    const { 'ephemeral-storage': disk, ...others } = (await status()).allocatable ?? {};
    expect(disk).toMatch(/^\d+/);
    expect(Object.keys(early)).toEqual(expect.arrayContaining(['cpu', 'memory', 'pods']));
    expect(early).toEqual(others);
  });

  it('tells again what a controller has taken for lost, though nothing has changed on the node', async () => {
    await reporter.tellNow(stop.signal);
    const unknown = [{ type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' }];
    const body = { status: { conditions: unknown } };
    const options = { subresource: 'status' };
    await client.patch(NODES, { namespace: '', name: NAME }, { type: 'strategic', body }, options);
    await reporter.tellNow(stop.signal);
    expect((await status()).conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'True' }),
    );
  });

  it('knows what its runtime can do while that does not answer', async () => {
    isDown = true;
    await reporter.tellNow(stop.signal);
    expect(reporter.runtimeStatus).toBeUndefined();
    expect(reporter.abilities.features).toEqual({ supplementalGroupsPolicy: true });
    isDown = false;
    await reporter.tellNow(stop.signal);
  });

  it('tells that nothing is scheduled to it any more, and that it is again', async () => {
    const seen = async (unschedulable: boolean, reason: string) => {
      const body = { spec: { unschedulable } };
      await client.patch(NODES, { namespace: '', name: NAME }, { type: 'merge', body });
      await reporter.tellNow(stop.signal);
      await reporter.tellNow(stop.signal);
      return told(reason);
    };
    const words = (reason: string) => [`Node ${NAME} status is now: ${reason}`];
    expect(await seen(true, 'NodeNotSchedulable')).toEqual(words('NodeNotSchedulable'));
    expect(told('NodeSchedulable')).toEqual([]);
    expect(await seen(false, 'NodeSchedulable')).toEqual(words('NodeSchedulable'));
  });

  it('tells that the machine was started anew', async () => {
    expect(told('Rebooted')).toEqual([]);
    const end = new AbortController();
    const ended = afterReboot().run(end.signal);
    await eventually('it is told', () => told('Rebooted').length > 0);
    end.abort();
    await ended;
    expect(told('Rebooted')).toEqual([`Node ${NAME} has been rebooted, boot id: the-next-one`]);
  });

  it('tells of devices and of volumes in use, and that they are not any more', async () => {
    devices = { capacity: { 'v.test/x': '2' }, allocatable: { 'v.test/x': '1' } };
    volumesInUse = ['kubernetes.io/csi/d.test^h'];
    await reporter.tellNow(stop.signal);
    expect(await status()).toMatchObject({
      volumesInUse,
      capacity: { 'v.test/x': '2' },
      allocatable: { 'v.test/x': '1' },
    });
    expect(reporter.allocatable()['v.test/x']).toBe('1');
    volumesInUse = [];
    await reporter.tellNow(stop.signal);
    expect((await status()).volumesInUse).toBeUndefined();
    expect((await status()).addresses).toHaveLength(2);
  });

  it('tells of devices that come while it looks at the rest, and does not wait for the next round', async () => {
    let own = { capacity: {}, allocatable: { 'v.test/late': '0' } };
    const late: NodeReporter = another({
      name: 'late',
      config: { ...DEFAULTS, nodeStatusUpdateFrequency: '1h' },
      devices: () => own,
      conditions: async () => {
        // They were looked at before this.
        if (own.allocatable['v.test/late'] === '0') {
          own = { capacity: {}, allocatable: { 'v.test/late': '1' } };
          late.poke();
        }
        return { problems: [], pressure: { memory: false, disk: false, pid: false } };
      },
    });
    const end = new AbortController();
    const ended = late.run(end.signal);
    await late.whenAsked();
    expect(late.node?.metadata.name).toBe('late');
    await eventually('they are told of', async () => {
      const node = await client.get(NODES, { namespace: '', name: 'late' });
      return node.status?.allocatable?.['v.test/late'] === '1';
    });
    // Those that come after it was told count for pods at once.
    own = { capacity: {}, allocatable: { 'v.test/late': '2' } };
    expect(late.allocatable()['v.test/late']).toBe('2');
    end.abort();
    await ended;
  });

  it('leaves a node that was deleted as it is, and goes on with one that somebody made anew', async () => {
    const key = { namespace: '', name: NAME };
    await client.delete(NODES, key);
    const before = failures;
    // Two rounds: one that finds out, and one that would register it.
    for (const round of [1, 2]) {
      await eventually(`round ${round}`, () => {
        reporter.poke();
        return failures >= before + round;
      });
    }
    await expect(status()).rejects.toThrow('not found');
    await client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: NAME } });
    await eventually('it is told of', async () => {
      reporter.poke();
      return (await status()).conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    });
  });
});
