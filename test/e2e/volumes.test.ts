import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { hostMounts } from '../../src/host/mounts.ts';
import { createAuthority } from '../../src/pki/ca.ts';
import { type CsiDriver, startCsiDriver } from '../support/csi-driver.ts';
import { eventually } from '../support/eventually.ts';
import { BUSYBOX_IMAGE, list } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'volumes');
const kubeletRoot = join(cluster.paths.state, 'kubelet');
let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'k8ts-volumes-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

type Fields = Record<string, unknown>;

/** A Pod with one volume at /v. */
function podWith(name: string, volume: Fields, script = 'sleep 3600', spec: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      restartPolicy: 'Never',
      volumes: [{ name: 'v', ...volume }],
      containers: [
        {
          name: 'main',
          image: BUSYBOX_IMAGE,
          command: ['sh', '-c', script],
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        },
      ],
      ...spec,
    },
  };
}

const ANY_NODE = {
  required: {
    nodeSelectorTerms: [
      { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'Exists' }] },
    ],
  },
};

/** A PersistentVolume and a claim that are bound to one another. */
async function boundClaim(name: string, source: Fields, mode = 'Filesystem'): Promise<void> {
  const shared = {
    storageClassName: '',
    volumeMode: mode,
    accessModes: ['ReadWriteOnce'],
  };
  await ns.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { ...shared, volumeName: name, resources: { requests: { storage: '1Mi' } } },
  });
  const { metadata } = await ns.get('pvc', name);
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      ...shared,
      capacity: { storage: '1Mi' },
      claimRef: { kind: 'PersistentVolumeClaim', namespace: ns.name, name, uid: metadata.uid },
      ...source,
    },
  });
  const status = JSON.stringify({ status: { phase: 'Bound' } });
  await ns.kubectl('patch', 'pvc', name, '--subresource=status', '--type=merge', '-p', status);
}

const running = (name: string) =>
  ns.kubectl('wait', '--for=jsonpath={.status.phase}=Running', `pod/${name}`, '--timeout=120s');
const succeeded = (name: string) =>
  ns.kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', `pod/${name}`, '--timeout=120s');

describe('trust bundles', () => {
  afterAll(() => cluster.kubectl('delete', 'clustertrustbundle', 'roots'));
  const bundle = (trustBundle: string) => ({
    ...{ apiVersion: 'certificates.k8s.io/v1beta1', kind: 'ClusterTrustBundle' },
    ...{ metadata: { name: 'roots' }, spec: { trustBundle } },
  });

  it('are files of a Pod, which follow them', async () => {
    const make = async (name: string) => (await createAuthority(name, Date.now())).certificate;
    const [first, second] = await Promise.all([make('first'), make('second')]);
    await cluster.apply(bundle(first));
    const sources = [{ clusterTrustBundle: { name: 'roots', path: 'ca.pem' } }];
    await ns.apply(podWith('believing', { projected: { sources } }));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/believing', '--timeout=120s');
    const shown = async () =>
      (await ns.kubectl('exec', 'believing', '--', 'cat', '/v/ca.pem')).trim();
    expect(await shown()).toBe(first.trim());
    await cluster.apply(bundle(second));
    await eventually('the file follows', async () => (await shown()) === second.trim());
    await ns.kubectl('delete', 'pod', 'believing');
  });
});

describe('a claim', () => {
  it('on a hostPath volume shows the directory', async () => {
    const path = join(scratch, 'host');
    mkdirSync(path);
    await boundClaim('host', { hostPath: { path } });
    const volume = { persistentVolumeClaim: { claimName: 'host' } };
    await ns.apply(podWith('host-user', volume, 'echo hello > /v/file'));
    await succeeded('host-user');
    expect(readdirSync(path)).toEqual(['file']);
  });

  it('on a local volume is given to the fsGroup, with what is in it', async () => {
    const path = join(scratch, 'local');
    mkdirSync(path);
    writeFileSync(join(path, 'old'), '', { mode: 0o600 });
    await boundClaim('local', { local: { path }, nodeAffinity: ANY_NODE });
    const volume = { persistentVolumeClaim: { claimName: 'local' } };
    const securityContext = { fsGroup: 4321, runAsUser: 1234 };
    await ns.apply(podWith('local-user', volume, 'echo x > /v/new', { securityContext }));
    await succeeded('local-user');
    expect(statSync(path).gid).toBe(4321);
    expect(statSync(join(path, 'old'))).toMatchObject({ gid: 4321, mode: 0o100660 });
    expect(statSync(join(path, 'new'))).toMatchObject({ gid: 4321, uid: 1234 });
  });

  it('whose directory is missing is told in an event, and the Pod starts once it is there', async () => {
    const path = join(scratch, 'late');
    await boundClaim('late', { local: { path }, nodeAffinity: ANY_NODE });
    await ns.apply(podWith('late-user', { persistentVolumeClaim: { claimName: 'late' } }, 'true'));
    await eventually('the event', async () =>
      (await ns.kubectl('describe', 'pod', 'late-user')).includes(
        `MountVolume.SetUp failed for volume "late" : path "${path}" does not exist`,
      ),
    );
    mkdirSync(path);
    await succeeded('late-user');
  });
});

/** A Pod that gets a claim as a block device, /dev/data. */
function withDevice(name: string, claimName: string, script: string): Fields {
  const pod = podWith(name, { persistentVolumeClaim: { claimName } }, script);
  const [main] = (pod.spec as { containers: Fields[] }).containers;
  delete main?.volumeMounts;
  Object.assign(main ?? {}, { volumeDevices: [{ name: 'v', devicePath: '/dev/data' }] });
  return pod;
}

describe('a claim of volumeMode Block', () => {
  it('on a local device is that device', async () => {
    const path = join(scratch, 'device');
    await run('mknod', [path, 'b', '7', '251']);
    await boundClaim('device', { local: { path }, nodeAffinity: ANY_NODE }, 'Block');
    await ns.apply(withDevice('device-user', 'device', 'stat -c "%F %t,%T" /dev/data'));
    await succeeded('device-user');
    expect(await ns.kubectl('logs', 'device-user')).toBe('block special file 7,fb\n');
  });

  it('is not mounted, and files are no device', async () => {
    const volume = { persistentVolumeClaim: { claimName: 'device' } };
    await ns.apply(list(podWith('mounts', volume), withDevice('opens', 'host', 'true')));
    const tells = (name: string, words: string) =>
      eventually(words, async () => (await ns.kubectl('describe', 'pod', name)).includes(words));
    await tells('mounts', 'volume v has volumeMode Block, but is specified in volumeMounts');
    await tells('opens', 'volume v has volumeMode Filesystem, but is specified in volumeDevices');
    await ns.kubectl('delete', 'pod', 'mounts', 'opens');
  });
});

describe('an image', () => {
  const views = async () => {
    const args = ['--address', cluster.paths.containerd.socket, '--namespace', 'k8s.io'];
    const { stdout } = await cluster.network.run('ctr', [...args, 'snapshots', 'list']);
    return stdout.split('\n').filter((line) => line.includes('k8ts-volume-'));
  };

  it('is a volume that is only read, whole or in part, and leaves nothing', async () => {
    const pod = podWith('image', {
      image: { reference: BUSYBOX_IMAGE, pullPolicy: 'IfNotPresent' },
    });
    const script = 'ls -d /v/bin /part/busybox; touch /v/x; sleep 3600';
    const [main] = (pod.spec as { containers: Fields[] }).containers;
    Object.assign(main ?? {}, {
      command: ['sh', '-c', `exec 2>&1; ${script}`],
      volumeMounts: [
        { name: 'v', mountPath: '/v' },
        { name: 'v', mountPath: '/part', subPath: 'bin' },
      ],
    });
    await ns.apply(pod);
    await running('image');
    const output = await eventually('its output', async () => {
      const log = await ns.kubectl('logs', 'image');
      return log.includes('file system') ? log : undefined;
    });
    expect(output).toMatch(/^\/part\/busybox\n\/v\/bin\ntouch: \/v\/x: Read-only file system/);
    expect(await views()).toHaveLength(1);
    await ns.kubectl('delete', 'pod', 'image');
    await eventually('no view is left', async () => (await views()).length === 0);
  });

  it('that cannot be had keeps the container waiting, as its own image would', async () => {
    const image = { reference: 'localhost/k8ts/nothing:1', pullPolicy: 'Never' };
    await ns.apply(podWith('no-image', { image }));
    await eventually('the reason', async () => {
      const { status } = await ns.get('pod', 'no-image');
      return status.containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImageNeverPull';
    });
    await ns.kubectl('delete', 'pod', 'no-image');
  });
});

describe('a CSI driver', () => {
  let driver: CsiDriver;
  const mountsOf = async () =>
    (await hostMounts.list()).filter((m) => m.path.startsWith(kubeletRoot) && /csi/.test(m.path));
  beforeAll(async () => {
    await cluster.apply({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'CSIDriver',
      metadata: { name: 'directory.test' },
      spec: {
        attachRequired: false,
        podInfoOnMount: true,
        fsGroupPolicy: 'File',
        volumeLifecycleModes: ['Persistent', 'Ephemeral'],
        tokenRequests: [{ audience: 'storage' }],
      },
    });
    const storage = join(scratch, 'csi');
    driver = await startCsiDriver('directory.test', { kubeletRoot, storage });
  });
  afterAll(async () => {
    // A Pod that is gone from the API may still be cleared away on the node; only its driver can do that.
    await eventually('no mount is left', async () => (await mountsOf()).length === 0);
    await driver?.stop();
    await cluster.kubectl('delete', 'csidriver', 'directory.test');
  });

  it('registers by its socket, and the API shows it', async () => {
    expect(await driver.registered).toEqual({ pluginRegistered: true, error: '' });
    const { spec } = await cluster.get('csinode', 'node-1');
    expect(spec.drivers).toContainEqual({
      name: 'directory.test',
      nodeID: 'node-of-directory.test',
      allocatable: { count: 5 },
    });
  });

  it('stages a volume once for two Pods, publishes it to each, and takes it away after the last', async () => {
    await ns.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'credentials' },
      stringData: { user: 'me' },
    });
    const secret = { name: 'credentials', namespace: ns.name };
    await boundClaim('shared', {
      csi: {
        driver: 'directory.test',
        volumeHandle: 'handle-1',
        volumeAttributes: { size: 'small' },
        nodePublishSecretRef: secret,
      },
    });
    const volume = { persistentVolumeClaim: { claimName: 'shared' } };
    const securityContext = { fsGroup: 2000 };
    await ns.apply(
      list(
        podWith('one', volume, 'echo from-one > /v/file; sleep 3600', { securityContext }),
        podWith('two', volume),
      ),
    );
    await Promise.all([running('one'), running('two')]);
    const seen = () => ns.kubectl('exec', 'two', '--', 'cat', '/v/file');
    expect(await eventually('the file', seen)).toBe('from-one\n');
    const published = driver.calls.filter((c) => c.method === 'NodePublishVolume');
    expect(published).toHaveLength(2);
    const ofOne = published.find(
      (c) => c.request.volumeContext['csi.storage.k8s.io/pod.name'] === 'one',
    );
    expect(ofOne?.request).toMatchObject({
      volumeId: 'handle-1',
      secrets: { user: 'me' },
      volumeCapability: { accessMode: { mode: 'SINGLE_NODE_WRITER' } },
      volumeContext: {
        size: 'small',
        'csi.storage.k8s.io/pod.namespace': ns.name,
        'csi.storage.k8s.io/ephemeral': 'false',
        'csi.storage.k8s.io/serviceAccount.tokens': expect.stringContaining('"storage"'),
      },
    });
    expect(statSync(join(scratch, 'csi/volumes/handle-1')).gid).toBe(2000);
    const metrics = await cluster.kubectl('get', '--raw', '/api/v1/nodes/node-1/proxy/metrics');
    const labels = `namespace="${ns.name}",persistentvolumeclaim="shared"`;
    expect(metrics).toContain(`kubelet_volume_stats_used_bytes{${labels}} 400`);
    expect(metrics).toContain(`kubelet_volume_stats_inodes_free{${labels}} 30`);
    await ns.kubectl('delete', 'pod', 'one');
    const unstaged = () => driver.calls.some((c) => c.method === 'NodeUnstageVolume');
    expect(unstaged()).toBe(false);
    await ns.kubectl('delete', 'pod', 'two');
    await eventually('it is unstaged', unstaged);
    await eventually('no mount is left', async () => (await mountsOf()).length === 0);
  });

  it('gives a Pod a volume of its own', async () => {
    const csi = { driver: 'directory.test', volumeAttributes: { kind: 'scratch' } };
    await ns.apply(podWith('inline', { csi }, 'echo x > /v/file'));
    await succeeded('inline');
    const call = driver.calls.findLast((c) => c.method === 'NodePublishVolume');
    expect(call?.request).toMatchObject({
      volumeId: expect.stringMatching(/^csi-[0-9a-f]{64}$/),
      stagingTargetPath: '',
      volumeContext: { kind: 'scratch', 'csi.storage.k8s.io/ephemeral': 'true' },
    });
    await ns.kubectl('delete', 'pod', 'inline');
    await eventually('no mount is left', async () => (await mountsOf()).length === 0);
  });

  it('makes what is in a volume larger that has grown', async () => {
    await boundClaim('growing', { csi: { driver: 'directory.test', volumeHandle: 'growing' } });
    const status = (fields: object) =>
      ns.kubectl(
        ...['patch', 'pvc', 'growing', '--subresource=status', '--type=merge', '-p'],
        JSON.stringify({ status: fields }),
      );
    await status({ capacity: { storage: '1Mi' } });
    await ns.apply(podWith('grower', { persistentVolumeClaim: { claimName: 'growing' } }));
    await running('grower');
    const larger = JSON.stringify({ spec: { capacity: { storage: '2Mi' } } });
    await cluster.kubectl('patch', 'pv', 'growing', '-p', larger);
    await status({ conditions: [{ type: 'FileSystemResizePending', status: 'True' }] });
    await eventually('the claim has grown', async () => {
      const { status: now } = await ns.get('pvc', 'growing');
      return now.capacity.storage === '2Mi' && (now.conditions ?? []).length === 0;
    });
    const call = driver.calls.find((c) => c.method === 'NodeExpandVolume');
    expect(call?.request).toMatchObject({
      volumeId: 'growing',
      capacityRange: { requiredBytes: 2 * 2 ** 20 },
    });
    await ns.kubectl('delete', 'pod', 'grower');
    await eventually('no mount is left', async () => (await mountsOf()).length === 0);
  });

  it('gives a Pod a block device', async () => {
    const csi = { driver: 'directory.test', volumeHandle: 'raw' };
    await boundClaim('raw', { csi }, 'Block');
    const pod = withDevice('raw-user', 'raw', 'stat -c "%F %t,%T" /dev/data');
    await ns.apply(pod);
    await succeeded('raw-user');
    expect(await ns.kubectl('logs', 'raw-user')).toBe('block special file 7,fa\n');
    const call = driver.calls.findLast((c) => c.method === 'NodePublishVolume');
    expect(call?.request.volumeCapability).toMatchObject({ block: {} });
    await ns.kubectl('delete', 'pod', 'raw-user');
    await eventually('no mount is left', async () => (await mountsOf()).length === 0);
  });

  it('that fails is told in an event and asked again', async () => {
    driver.fail('NodePublishVolume', new Error('the disk is on fire'));
    await ns.apply(podWith('unlucky', { csi: { driver: 'directory.test' } }, 'true'));
    await eventually('the event', async () =>
      (await ns.kubectl('describe', 'pod', 'unlucky')).includes('the disk is on fire'),
    );
    driver.fail('NodePublishVolume', undefined);
    await succeeded('unlucky');
    await ns.kubectl('delete', 'pod', 'unlucky');
  });
});
