import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageArchive } from '../../deploy/images/oci.ts';
import { eventually } from '../support/eventually.ts';
import { BUSYBOX_IMAGE, shellPod, WEB_IMAGE } from '../support/manifests.ts';
import { REGISTRY_USER, type Registry, startRegistry } from '../support/registry.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'images');
let registry: Registry;

beforeAll(async () => {
  registry = await startRegistry(cluster);
  const { name, password } = REGISTRY_USER;
  const login = [`--docker-server=${registry.host}`, `--docker-username=${name}`];
  const secret = ['create', 'secret', 'docker-registry', 'pull', `--docker-password=${password}`];
  await ns.kubectl(...secret, ...login);
});
afterAll(() => registry?.stop());

/** A Pod of an image that has to be pulled. */
function pulling(name: string, image: string, spec: object = {}) {
  const pod = shellPod(name, 'sleep 3600', { image, imagePullPolicy: 'Always' });
  return { ...pod, spec: { ...(pod.spec as object), ...spec } };
}
const withSecret = { imagePullSecrets: [{ name: 'pull' }] };
const waiting = async (pod: string) =>
  (await ns.get('pod', pod)).status.containerStatuses?.[0]?.state?.waiting;
const stateOf = async (pod: string) =>
  JSON.stringify((await ns.get('pod', pod)).status.containerStatuses?.[0] ?? {});
const ready = (pod: string) =>
  ns.kubectl('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=120s');

/** The kubelet tells of a Pod by and by. */
const toldOf = (pod: string, events: readonly RegExp[]) =>
  eventually(`the events of ${pod}`, async () => {
    const told = await ns.kubectl('events', '--for', `pod/${pod}`);
    return events.every((event) => event.test(told));
  });

describe('an image in a registry with TLS and a password', () => {
  it('is pulled with the Pod’s secret, by tag and by digest', async () => {
    const image = await registry.push(BUSYBOX_IMAGE, 'team/app:1');
    await ns.apply(pulling('tagged', image, withSecret));
    await ready('tagged');
    await toldOf('tagged', [
      /Normal +Pulled .*Successfully pulled image ".*team\/app:1" in .*\. Image size: \d+ bytes\./,
    ]);
    const { imageID } = (await ns.get('pod', 'tagged')).status.containerStatuses[0];
    expect(imageID).toMatch(/@sha256:[0-9a-f]{64}$/);
    const digest = imageID.slice(imageID.indexOf('@'));
    const reference = `${registry.host}/team/app${digest}`;
    // As a volume, too, which is pulled by the same secret and policy.
    const volumes = [{ name: 'v', image: { reference, pullPolicy: 'Always' } }];
    const pod = pulling('by-digest', reference, { ...withSecret, volumes });
    const [main] = (pod.spec as unknown as { containers: object[] }).containers;
    const volumeMounts = ['/v', '/w'].map((mountPath) => ({ name: 'v', mountPath }));
    Object.assign(main ?? {}, { volumeMounts });
    await ns.apply(pod);
    await ready('by-digest');
    expect(await ns.kubectl('exec', 'by-digest', '--', 'ls', '/v/bin/busybox')).toContain('/v/bin');
    await toldOf('by-digest', [/Successfully pulled image/, /Started/]);
    const selector = '--field-selector=involvedObject.name=by-digest,reason=Pulling';
    type Told = { count: number; involvedObject: { fieldPath?: string } };
    const told: Told[] = (await ns.get('events', selector)).items;
    // Once, however often it is mounted.
    expect(told.filter((one) => !one.involvedObject.fieldPath)).toMatchObject([{ count: 1 }]);
  });

  it('is refused without it: ErrImagePull, then ImagePullBackOff', async () => {
    const image = await registry.push(WEB_IMAGE, 'team/private:1');
    await ns.apply(pulling('stranger', image));
    // It is tried again every now and then, and waits for another reason then.
    const { message } = await eventually('the back-off', async () => {
      const state = await waiting('stranger');
      return state?.reason === 'ImagePullBackOff' && state;
    });
    expect(message).toMatch(/^Back-off pulling image ".*private:1"/);
    await toldOf('stranger', [
      /Warning +Failed .*Failed to pull image .*(authorization|401|no basic auth)/,
      /Warning +Failed .*Error: ErrImagePull/,
    ]);
    await ns.kubectl('delete', 'pod', 'stranger', '--now');
  });

  it('is kept from Pods without the secret when it is here already', async () => {
    const image = await registry.push(await importRandomImage(1), 'team/secret:1');
    await cluster.k8ts('images', 'prune');
    const main = { image, imagePullPolicy: 'IfNotPresent', command: ['/nothing'] };
    const trying = (name: string, change: object, spec: object = {}) => {
      const pod = shellPod(name, '', { ...main, ...change });
      return { ...pod, spec: { ...(pod.spec as object), ...spec } };
    };
    await ns.apply(trying('owner', {}, withSecret));
    // The image holds no program: that it was tried shows that the image could be used.
    await eventually('the image is used', async () =>
      /RunContainerError|CreateContainerError|StartError/.test(await stateOf('owner')),
    );
    await ns.apply(trying('thief', {}));
    await eventually('it is refused', async () =>
      /ErrImagePull|BackOff/.test(await stateOf('thief')),
    );
    await ns.apply(trying('quiet-thief', { imagePullPolicy: 'Never' }));
    await eventually('it is refused', async () =>
      (await stateOf('quiet-thief')).includes('ErrImageNeverPull'),
    );
    await ns.kubectl('delete', 'pod', 'owner', 'thief', 'quiet-thief', '--now');
  });

  it('that is not there, that is damaged, or for other machines, is told in an event', async () => {
    await ns.apply(pulling('missing', `${registry.host}/team/nothing:1`, withSecret));
    const image = await registry.push(await importRandomImage(), 'team/damaged:1');
    damageLargestBlob(registry.storage);
    // Nothing of it may be here any more: what is here is not fetched.
    await cluster.k8ts('images', 'prune');
    await ns.apply(pulling('damaged', image, withSecret));
    await registry.push(BUSYBOX_IMAGE, 'team/foreign:amd64');
    await ns.apply(pulling('foreign', await forMachinesOf('s390x', 'team/foreign'), withSecret));
    for (const pod of ['missing', 'damaged', 'foreign']) {
      await eventually(`${pod} is told of`, async () =>
        ['ErrImagePull', 'ImagePullBackOff'].includes((await waiting(pod))?.reason),
      );
    }
    await toldOf('missing', [/Failed to pull image .*team\/nothing:1/]);
    await toldOf('foreign', [
      /Failed to pull image .*team\/foreign:1": .*no match for platform in manifest/,
    ]);
    await ns.kubectl('delete', 'pod', 'missing', 'damaged', 'foreign', '--now');
  });
});

describe('k8ts images', () => {
  it('prunes what no container uses, and nothing else', async () => {
    const list = async () => (await cluster.k8ts('images', 'list')).stdout;
    await ctr('tag', '--force', BUSYBOX_IMAGE, 'example.test/a:1');
    await ns.kubectl('delete', 'pod', '--all', '--now');
    const used = `${registry.host}/team/private:1`;
    await ns.apply(pulling('user', used, withSecret));
    await ready('user');
    await cluster.k8ts('images', 'prune');
    expect(await list()).toContain(used);
    await ns.kubectl('delete', 'pod', 'user', '--now');
    const pruned = (await cluster.k8ts('images', 'prune')).stdout;
    const after = await list();
    // The web image of k8ts is the same as the one of the registry: it costs nothing, and stays.
    expect(pruned + after).toContain(used);
    for (const name of ['localhost/k8ts/pause:1', BUSYBOX_IMAGE, 'example.test/a:1']) {
      expect(after).toContain(name);
    }
    await ctr('remove', 'example.test/a:1');
  });

  it('saves images to an archive, and loads them again with every start', async () => {
    const archive = join(cluster.paths.root, 'saved.tar');
    await cluster.k8ts('images', 'save', '--output', archive, WEB_IMAGE, BUSYBOX_IMAGE);
    expect(statSync(archive).size).toBeGreaterThan(100_000);
    const { stdout } = await cluster.k8ts('images', 'load', archive);
    expect(stdout).toContain(WEB_IMAGE);
    const kept = join(cluster.paths.state, 'images', 'saved.tar');
    expect(existsSync(kept)).toBe(true);
    for (const file of [archive, kept]) rmSync(file);
  });
});

const RANDOM_IMAGE = 'example.test/random:1';

function ctr(...args: string[]) {
  const at = ['--address', cluster.paths.containerd.socket, '--namespace', 'k8s.io', 'images'];
  return cluster.network.run('ctr', [...at, ...args]);
}

/** An image that shares nothing with another one. */
async function importRandomImage(megabytes = 8): Promise<string> {
  const archive = join(cluster.paths.root, 'random.tar');
  const content = [randomBytes(megabytes * 2 ** 20)];
  const files = [{ path: 'random', mode: 0o644, content }];
  writeFileSync(archive, Buffer.concat(imageArchive(RANDOM_IMAGE, [files], {})));
  await cluster.k8ts('images', 'import', archive);
  rmSync(archive);
  return RANDOM_IMAGE;
}

/** An index in the registry that has the repository's image `amd64` for machines of this kind alone. */
async function forMachinesOf(architecture: string, repository: string): Promise<string> {
  const { name, password } = REGISTRY_USER;
  const url = (tag: string) => `https://${registry.host}/v2/${repository}/manifests/${tag}`;
  const curl = (...args: string[]) =>
    cluster.network.run('curl', ['-sS', '--insecure', '--user', `${name}:${password}`, ...args]);
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const { stdout } = await curl('--head', '--header', `Accept: ${mediaType}`, url('amd64'));
  const digest = /^docker-content-digest: (\S+)/im.exec(stdout)?.[1];
  const size = Number(/^content-length: (\d+)/im.exec(stdout)?.[1]);
  const manifests = [{ mediaType, digest, size, platform: { os: 'linux', architecture } }];
  const type = 'application/vnd.oci.image.index.v1+json';
  const index = { schemaVersion: 2, mediaType: type, manifests };
  const put = ['--fail', '--request', 'PUT', '--header', `Content-Type: ${type}`];
  await curl(...put, '--data', JSON.stringify(index), url('1'));
  return `${registry.host}/${repository}:1`;
}

/** Overwrites the largest blob; its size stays. */
function damageLargestBlob(storage: string): void {
  const files = readdirSync(storage, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name === 'data')
    .map((entry) => join(entry.parentPath, entry.name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  const [largest = ''] = files;
  const { size } = statSync(largest);
  writeFileSync(largest, Buffer.alloc(size, 7));
}
