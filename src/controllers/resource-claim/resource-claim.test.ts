import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PODS } from '../../api/resource-types.ts';
import { RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS } from '../../api/system-resource-types.ts';
import { World } from '../world.fake.ts';
import { resourceClaimController } from './resource-claim-controller.ts';

const podKey = { namespace: 'a', name: 'p' };
let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

const template = {
  metadata: { namespace: 'a', name: 'gpu' },
  spec: { metadata: { labels: { x: 'y' } }, spec: { devices: {} } },
} as never;
const pod = (claim: object, spec: object = {}) =>
  ({
    metadata: podKey,
    spec: { containers: [], resourceClaims: [{ name: 'dev', ...claim }], ...spec },
  }) as never;
const claims = () => world.client.all(RESOURCE_CLAIMS);
const claimNamed = (name: string) => world.client.get(RESOURCE_CLAIMS, { namespace: 'a', name });
const status = async () => (await world.client.get(PODS, podKey)).status?.resourceClaimStatuses;

describe('resource claim controller', () => {
  it('makes a claim from its template once, and tells the Pod', async () => {
    world.client.seed(RESOURCE_CLAIM_TEMPLATES, template);
    world.client.seed(PODS, pod({ resourceClaimTemplateName: 'gpu' }));
    world.start([resourceClaimController]);
    await world.until(async () => expect(await status()).toHaveLength(1));
    await world.atRest();
    expect(claims()).toMatchObject([
      {
        metadata: {
          generateName: 'p-dev-',
          labels: { x: 'y' },
          annotations: { 'resource.kubernetes.io/pod-claim-name': 'dev' },
          ownerReferences: [{ kind: 'Pod', name: 'p', controller: true }],
        },
        spec: { devices: {} },
      },
    ]);
    expect(await status()).toEqual([
      { name: 'dev', resourceClaimName: claims()[0]?.metadata.name },
    ]);
  });

  it('tells of a template that is not there, and goes on when it comes', async () => {
    world.client.seed(PODS, pod({ resourceClaimTemplateName: 'gpu' }));
    world.start([resourceClaimController]);
    await world.until(() =>
      expect(world.events.lines[0]).toBe(
        'Warning FailedResourceClaimCreation a/p: PodResourceClaim dev: resource claim template "gpu": not found',
      ),
    );
    await world.client.create(RESOURCE_CLAIM_TEMPLATES, template);
    await world.until(() => expect(claims()).toHaveLength(1));
  });

  it('frees a claim when its last user is done, and deletes one that was made for that Pod', async () => {
    world.client.seed(RESOURCE_CLAIM_TEMPLATES, template);
    world.client.seed(PODS, pod({ resourceClaimTemplateName: 'gpu' }, { nodeName: 'n' }));
    world.start([resourceClaimController]);
    await world.until(async () => expect(await status()).toHaveLength(1));
    const [made] = claims();
    const allocated = { ...made, status: { allocation: { devices: {} } } };
    await world.client.update(RESOURCE_CLAIMS, allocated as never, { subresource: 'status' });
    const { name = '' } = made?.metadata ?? {};
    await world.client.patch(PODS, podKey, {
      type: 'merge',
      body: { metadata: { labels: { a: 'b' } } },
    });
    await world.until(async () =>
      expect((await claimNamed(name)).status?.reservedFor).toMatchObject([{ name: 'p' }]),
    );
    await world.setPods(() => true, { ready: false, phase: 'Succeeded' });
    await world.until(() => expect(claims()).toHaveLength(0));
  });

  it('frees and deletes the claim for extended resources when its Pod is done', async () => {
    const status = { extendedResourceClaimStatus: { resourceClaimName: 'x', requestMappings: [] } };
    const [running] = world.client.seed(PODS, {
      metadata: podKey,
      spec: { containers: [], nodeName: 'n' },
      status,
    } as never);
    const uid = running?.metadata.uid ?? '';
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid, controller: true }];
    world.client.seed(RESOURCE_CLAIMS, {
      metadata: { namespace: 'a', name: 'x', ownerReferences },
      spec: {},
      status: { allocation: {}, reservedFor: [{ resource: 'pods', name: 'p', uid }] },
    } as never);
    world.start([resourceClaimController]);
    await world.atRest();
    expect(claims()).toHaveLength(1);
    const body = { status: { ...status, phase: 'Succeeded' } };
    await world.client.patch(PODS, podKey, { type: 'merge', body }, { subresource: 'status' });
    await world.until(() => expect(claims()).toEqual([]));
  });

  it('frees a named claim, but keeps it', async () => {
    world.client.seed(RESOURCE_CLAIMS, {
      metadata: {
        namespace: 'a',
        name: 'mine',
        finalizers: ['resource.kubernetes.io/delete-protection'],
      },
      spec: {},
      status: { allocation: {}, reservedFor: [{ resource: 'pods', name: 'gone', uid: 'u' }] },
    } as never);
    world.start([resourceClaimController]);
    await world.until(async () => {
      const { metadata, status: left } = await claimNamed('mine');
      expect(left?.allocation).toBeUndefined();
      expect(metadata.finalizers).toEqual([]);
    });
  });
});
