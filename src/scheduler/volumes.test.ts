import { describe, expect, it } from 'vitest';
import { fitErrorMessage } from './fit-error.ts';
import { testBench } from './framework.fake.ts';
import { makeNode, makePod } from './objects.fake.ts';

const LOCAL = { namespace: 'default' };
const spec = { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] };
const claim = (extra: object = {}) => ({
  spec: {
    ...{ storageClassName: 'local', accessModes: ['ReadWriteOnce'] },
    ...{ resources: { requests: { storage: '1Gi' } }, ...extra },
  },
});
const onNode = (name: string) => ({
  required: {
    nodeSelectorTerms: [
      { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] },
    ],
  },
});
const volume = (node: string, storage = '2Gi') => ({
  spec: {
    ...{ storageClassName: 'local', accessModes: ['ReadWriteOnce'] },
    ...{ capacity: { storage }, nodeAffinity: onNode(node) },
  },
  status: { phase: 'Available' },
});

function bench(mode = 'WaitForFirstConsumer', provisioner = 'kubernetes.io/no-provisioner') {
  const made = testBench();
  made.addNodes(makeNode('a'), makeNode('b'));
  made.storage.storageClasses.set('local', { provisioner, volumeBindingMode: mode });
  const why = async (shape: object = { spec }) => {
    const placement = await made.place(makePod('p', shape));
    if (placement.kind === 'placed') return placement.nodeName;
    return placement.kind === 'unschedulable'
      ? fitErrorMessage(placement.diagnosis)
      : placement.kind;
  };
  return { ...made, why };
}

describe('VolumeBinding', () => {
  it('waits for the claim, and for its volume where binding does not wait for the Pod', async () => {
    const { storage, why } = bench('Immediate');
    expect(await why()).toBe('0/2 nodes are available: persistentvolumeclaim "data" not found.');
    storage.claims.set('data', claim(), LOCAL);
    expect(await why()).toBe(
      '0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.',
    );
  });

  it('goes where a free volume of the right size is', async () => {
    const { storage, why } = bench();
    storage.claims.set('data', claim(), LOCAL);
    const none =
      "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.";
    expect(await why()).toBe(none);
    storage.volumes.set('small', volume('a', '500Mi'));
    expect(await why()).toBe(none);
    storage.volumes.set('big', volume('b'));
    expect(await why()).toBe('b');
  });

  it('stays with a bound volume', async () => {
    const { storage, why } = bench();
    storage.volumes.set('v', volume('a'));
    storage.claims.set(
      'data',
      { ...claim({ volumeName: 'v' }), status: { phase: 'Bound' } },
      LOCAL,
    );
    expect(await why()).toBe('a');
    storage.volumes.set('v', volume('elsewhere'));
    expect(await why()).toBe(
      "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.",
    );
  });

  it('counts on a provisioner, as far as its capacity goes', async () => {
    const { storage, why } = bench('WaitForFirstConsumer', 'csi.example.com');
    storage.claims.set('data', claim(), LOCAL);
    expect(await why()).toMatch(/^[ab]$/);
    storage.csiDrivers.set('csi.example.com', { spec: { storageCapacity: true } });
    expect(await why()).toBe(
      '0/2 nodes are available: 2 node(s) did not have enough free storage.',
    );
    const nodeTopology = { matchLabels: { 'kubernetes.io/hostname': 'b' } };
    storage.csiCapacities.set('c', { storageClassName: 'local', capacity: '5Gi', nodeTopology });
    expect(await why()).toBe('b');
  });
});

describe('the other volume plugins', () => {
  it('VolumeRestrictions: a ReadWriteOncePod claim has one Pod in the cluster', async () => {
    const { storage, why, addPods } = bench();
    const exclusive = claim({ accessModes: ['ReadWriteOncePod'], volumeName: 'v' });
    storage.volumes.set('v', {
      ...volume('a'),
      spec: { ...volume('a').spec, nodeAffinity: undefined },
    });
    storage.claims.set('data', { ...exclusive, status: { phase: 'Bound' } }, LOCAL);
    expect(await why()).toMatch(/^[ab]$/);
    addPods(makePod('other', { nodeName: 'a', spec }));
    expect(await why()).toContain('ReadWriteOncePod access mode');
  });

  it.each([
    ['awsElasticBlockStore', { volumeID: 'v' }, { volumeID: 'v', readOnly: true }, true],
    ['gcePersistentDisk', { pdName: 'v' }, { pdName: 'v', readOnly: true }, true],
    ['gcePersistentDisk', { pdName: 'v', readOnly: true }, { pdName: 'v', readOnly: true }, false],
    ['iscsi', { iqn: 'v', lun: 1 }, { iqn: 'v', lun: 2 }, true],
    ['iscsi', { iqn: 'v' }, { iqn: 'w' }, false],
    ['rbd', { monitors: ['a', 'b'], image: 'i' }, { monitors: ['b'], image: 'i' }, true],
    ['rbd', { monitors: ['a'], image: 'i' }, { monitors: ['b'], image: 'i' }, false],
  ])(
    'VolumeRestrictions: two Pods on a node with %s %j and %j conflict: %s',
    async (kind, mine, theirs, conflict) => {
      const made = testBench();
      made.addNodes(makeNode('a'));
      const using = (disk: object) => ({ volumes: [{ name: 'disk', [kind]: disk }] }) as object;
      made.addPods(makePod('other', { nodeName: 'a', spec: using(theirs) }));
      const placement = await made.place(makePod('p', { spec: using(mine) }));
      expect(placement.kind).toBe(conflict ? 'unschedulable' : 'placed');
      if (placement.kind !== 'unschedulable') return;
      expect(fitErrorMessage(placement.diagnosis)).toContain('1 node(s) had no available disk');
    },
  );

  it('VolumeZone: a volume’s zone label binds its Pods', async () => {
    const { storage, why, addNodes } = bench();
    addNodes(makeNode('c', { labels: { 'topology.kubernetes.io/zone': 'z1' } }));
    addNodes(makeNode('a', { labels: { 'topology.kubernetes.io/zone': 'z2' } }));
    addNodes(makeNode('b', { labels: { 'topology.kubernetes.io/zone': 'z2' } }));
    const labels = { 'topology.kubernetes.io/zone': 'z0__z1' };
    const free = { ...volume('c').spec, nodeAffinity: undefined };
    storage.volumes.set('v', { spec: free }, { labels });
    storage.claims.set(
      'data',
      { ...claim({ volumeName: 'v' }), status: { phase: 'Bound' } },
      LOCAL,
    );
    expect(await why()).toBe('c');
  });

  it('NodeVolumeLimits: a driver attaches only so many volumes', async () => {
    const { storage, why, addPods } = bench();
    const drivers = [{ name: 'csi.example.com', allocatable: { count: 1 } }];
    storage.csiNodes.set('a', { spec: { drivers } });
    storage.csiNodes.set('b', { spec: { drivers } });
    for (const name of ['data', 'other']) {
      const csi = { driver: 'csi.example.com', volumeHandle: name };
      storage.volumes.set(name, { spec: { csi } });
      storage.claims.set(
        name,
        { ...claim({ volumeName: name }), status: { phase: 'Bound' } },
        LOCAL,
      );
    }
    const other = { volumes: [{ name: 'x', persistentVolumeClaim: { claimName: 'other' } }] };
    addPods(makePod('1', { nodeName: 'a', spec: other }));
    expect(await why()).toBe('b');
    addPods(makePod('2', { nodeName: 'b', spec: other }));
    expect(await why()).toBe('0/2 nodes are available: 2 node(s) exceed max volume count.');
  });
});
