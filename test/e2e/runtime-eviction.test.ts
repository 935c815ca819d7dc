import { mkdirSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processCounts } from '../../src/host/machine.ts';
import { startContainerd, startDocker } from '../support/engines.ts';
import { eventually } from '../support/eventually.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { podOf, shell } from '../support/pods.ts';

// What the rest of the machine does meanwhile must neither cross the threshold nor hide that a Pod does.
const PROCESSES = 800;
const GIB = 2 ** 30;
const NODE = 'pressed-node';
// `K8TS_TEST_ENGINE=docker` for the other one: both would take twice the time.
const ENGINE = process.env.K8TS_TEST_ENGINE;
let node: LoneNode;

async function thresholds(): Promise<object> {
  const { running, maximum } = await processCounts();
  return {
    evictionHard: {
      // Of the machine, and of what its Pods may take together.
      'memory.available': '1Gi',
      'nodefs.inodesFree': '2k',
      'pid.available': String(maximum - running - PROCESSES),
    },
    // Those that take processes and disks, which is memory here, take some 400 MB, far less than a line of 1 GB.
    systemReserved: { memory: String(totalmem() - 1.75 * GIB) },
    // The condition is told from the beginning: there is time to see what it does.
    evictionSoft: { 'nodefs.available': '60Mi' },
    evictionSoftGracePeriod: { 'nodefs.available': '4s' },
    evictionMaxPodGracePeriod: 1,
    evictionPressureTransitionPeriod: '2s',
  };
}

beforeAll(async () => {
  node = await startLoneNode({
    name: NODE,
    startEngine: ENGINE === 'docker' ? startDocker : startContainerd,
    stateMount: 'size=200m,nr_inodes=4000',
    config: thresholds,
  });
});
afterAll(() => node?.stop());

/** A Pod that begins when all are there: a node that is short of something takes no new ones. */
function greedyPod(name: string, script: string, [volume, fields]: [object, object]): object {
  const wait = 'until [ -e /go/now ]; do sleep 0.1; done';
  const volumeMounts = [
    { name: 'data', mountPath: '/data' },
    { name: 'go', mountPath: '/go' },
  ];
  const main = shell('main', `trap exit TERM; ${wait}; ${script}; sleep 3600 & wait $!`, {
    volumeMounts,
    ...fields,
  });
  const volumes = [
    { name: 'data', emptyDir: volume },
    { name: 'go', hostPath: { path: join(node.root, 'go') } },
  ];
  return podOf(name, [main], { volumes });
}

const megabytes = (count: number, file: string): string =>
  `head -c ${count * 1e6} /dev/zero > ${file}`;
const limited = { resources: { limits: { 'ephemeral-storage': '4Mi' } } };
// It has no end yet, so tail has to keep it.
const LINE_OF_1_GB = '{ { head -c 1000000000 /dev/zero; sleep 3600; } | tail > /dev/null & }';
const forks = `for i in $(seq ${2 * PROCESSES}); do sleep 3600 & done`;

const pods = (): object[] => [
  greedyPod('memory', LINE_OF_1_GB, [{}, {}]),
  greedyPod('disk', megabytes(150, '/data/x'), [{}, {}]),
  greedyPod('inodes', 'cd /data; seq 3000 | xargs touch', [{}, {}]),
  greedyPod('pids', forks, [{}, {}]),
  greedyPod('layer', megabytes(9, '/x'), [{}, limited]),
  greedyPod('volume', megabytes(5, '/data/x'), [{ sizeLimit: '2Mi' }, {}]),
  greedyPod('modest', megabytes(1, '/data/x'), [{ sizeLimit: '2Mi' }, {}]),
];

const low = (resource: string, unit: string): RegExp => {
  const amounts = `Threshold quantity: \\d+${unit}, available: \\d+${unit}`;
  return new RegExp(`^The node was low on resource: ${resource}\\. ${amounts}\\. `);
};
const MESSAGES: Record<string, { message: RegExp; disrupted: boolean }> = {
  memory: { message: low('memory', '[KMG]i'), disrupted: true },
  disk: { message: low('ephemeral-storage', '[KM]i'), disrupted: true },
  inodes: { message: low('inodes', 'k?'), disrupted: true },
  pids: { message: low('pids', 'k?'), disrupted: true },
  layer: {
    message: /^Pod ephemeral local storage usage exceeds the total limit of containers 4Mi\. $/,
    disrupted: false,
  },
  volume: {
    message: /^Usage of EmptyDir volume "data" exceeds the limit "2Mi"\. $/,
    disrupted: false,
  },
};
const PRESSURES = ['MemoryPressure', 'DiskPressure', 'PIDPressure'];

async function conditions(): Promise<Record<string, string>> {
  const { status } = await node.get('node', NODE);
  const all: { type: string; status: string }[] = status.conditions;
  return Object.fromEntries(all.map((one) => [one.type, one.status]));
}

describe('a node that is short of something', () => {
  it('takes no new Pod, and ends the one that took it', async () => {
    mkdirSync(join(node.root, 'go'));
    await node.apply(...pods());
    await node.ready(...Object.keys(MESSAGES), 'modest');
    writeFileSync(join(node.root, 'go', 'now'), '');
    await eventually(
      'the pressure is told',
      async () => (await conditions()).DiskPressure === 'True',
    );
    await node.apply(podOf('late', [shell('main', 'sleep 3600')], { nodeName: NODE }));
    for (const [name, { message, disrupted }] of Object.entries(MESSAGES)) {
      const status = await eventually(`${name} is evicted`, async () => {
        const pod = await node.get('pod', name);
        return pod.status.phase === 'Failed' && pod.status;
      });
      expect(status).toMatchObject({ reason: 'Evicted', message: expect.stringMatching(message) });
      const target = status.conditions.find((c: { type: string }) => c.type === 'DisruptionTarget');
      expect(target?.reason).toBe(disrupted ? 'TerminationByKubelet' : undefined);
    }
    const { status } = await node.get('pod', 'late');
    const message = expect.stringMatching(/: The node had condition: \[.*DiskPressure.*\]\. $/);
    expect(status).toMatchObject({ phase: 'Failed', reason: 'Evicted', message });
    expect((await node.get('pod', 'modest')).status.phase).toBe('Running');
    const ofMemory = ['--field-selector', 'involvedObject.name=memory,reason=Evicted'];
    const annotation = 'jsonpath={.items[*].metadata.annotations.starved_resource}';
    await eventually('the event names what was short', async () => {
      return (await node.kubectl('get', 'events', ...ofMemory, '-o', annotation)) === 'memory';
    });
  });

  it('says so while it lasts, and no longer', async () => {
    await eventually('no pressure is told', async () => {
      const told = await conditions();
      return PRESSURES.every((type) => told[type] === 'False');
    });
    const ofNode = await node.kubectl('events', '--for', `node/${NODE}`);
    for (const word of ['InsufficientMemory', 'DiskPressure', 'InsufficientPID']) {
      expect(ofNode).toContain(`NodeHas${word}`);
    }
    for (const what of ['memory', 'ephemeral-storage', 'inodes', 'pids']) {
      expect(ofNode).toMatch(
        new RegExp(`Warning +EvictionThresholdMet .*Attempting to reclaim ${what}`),
      );
    }
    const { message } = (await node.get('pod', 'pids')).status;
    expect(await node.kubectl('events', '--for', 'pod/pids')).toContain(message.trim());
  });
});
