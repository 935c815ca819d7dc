import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CONFIG_MAPS,
  DAEMON_SETS,
  DEPLOYMENTS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../../src/api/resource-types.ts';
import { createClient, type RestClient } from '../../src/client/rest-client.ts';
import { addonObjects, applyAddons, withdrawAddons } from '../../src/cluster/addons.ts';
import { applyObjects } from '../../src/cluster/apply.ts';
import { DEFAULT_SETTINGS } from '../../src/cluster/settings.ts';
import {
  agreeOnParts,
  SETTINGS_OBJECT,
  sharedSettings,
} from '../../src/cluster/shared-settings.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

const settings = { ...DEFAULT_SETTINGS, nodeName: 'a', nodeIp: '192.0.2.1' };
const coredns = { namespace: 'kube-system', name: 'coredns' };
const kubeDns = { namespace: 'kube-system', name: 'kube-dns' };
const never = new AbortController().signal;
let server: TestApiServer;
let client: RestClient;

beforeAll(async () => {
  server = await startApiServer();
  client = await createClient(server.kubeconfig);
});
afterAll(async () => {
  client.close();
  await server.stop();
});

describe('applyAddons', () => {
  it('leaves out what is disabled', async () => {
    expect(await applyAddons(client, { ...settings, disabled: ['dns'] }, never)).toEqual([]);
    await expect(client.get(DEPLOYMENTS, coredns)).rejects.toThrow('not found');
  });

  it('makes what is missing, and changes nothing the second time', async () => {
    expect(await applyAddons(client, settings, never)).toEqual([]);
    const service = await client.get(SERVICES, kubeDns);
    expect(service.spec?.clusterIP).toBe('10.96.0.10');
    const before = await client.get(DEPLOYMENTS, coredns);
    expect(await applyAddons(client, settings, never)).toEqual([]);
    const after = await client.get(DEPLOYMENTS, coredns);
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  it('keeps the number of replicas that an administrator has chosen', async () => {
    const patch = { type: 'merge' as const, body: { spec: { replicas: 2 } } };
    await client.patch(DEPLOYMENTS, coredns, patch, { fieldManager: 'somebody' });
    expect(await applyAddons(client, settings, never)).toEqual([]);
    expect((await client.get(DEPLOYMENTS, coredns)).spec?.replicas).toBe(2);
  });

  it('leaves an object alone of which somebody has changed a field, and says so', async () => {
    const image = 'registry.example/coredns:1.12';
    const containers = [{ name: 'coredns', image }];
    const body = { spec: { template: { spec: { containers } } } };
    await client.patch(
      DEPLOYMENTS,
      coredns,
      { type: 'strategic', body },
      { fieldManager: 'kubectl' },
    );
    const [problem, ...others] = await applyAddons(client, settings, never);
    expect(problem).toMatch(/^Deployment kube-system\/coredns is left as others have changed it/);
    expect(others).toEqual([]);
    const kept = await client.get(DEPLOYMENTS, coredns);
    expect(kept.spec?.template.spec?.containers[0]?.image).toBe(image);
  });
});

describe('withdrawAddons', () => {
  const names = ['dns', 'kube-proxy'];
  const disabled = { ...settings, disabled: names, chosen: { disabled: names } };

  it('takes nothing away that the operator of this machine has not left out', async () => {
    expect(await withdrawAddons(client, { ...settings, disabled: names }, never)).toEqual([]);
    await client.get(SERVICES, kubeDns);
  });

  it('takes away what is left out now, and leaves what others have changed, with the command that removes it', async () => {
    // The image of the Deployment is somebody else's by now.
    expect(await withdrawAddons(client, disabled, never)).toEqual([
      'Deployment kube-system/coredns is left out now, but others have changed it: kubectl delete deployment coredns -n kube-system',
    ]);
    await expect(client.get(SERVICES, kubeDns)).rejects.toThrow('not found');
    await client.get(DEPLOYMENTS, coredns);
  });

  it('takes away a Deployment of which only the number of replicas was changed', async () => {
    await client.delete(DEPLOYMENTS, coredns);
    expect(await applyAddons(client, settings, never)).toEqual([]);
    const patch = { type: 'merge' as const, body: { spec: { replicas: 2 } } };
    await client.patch(DEPLOYMENTS, coredns, patch, { fieldManager: 'somebody' });
    expect(await withdrawAddons(client, disabled, never)).toEqual([]);
    await expect(client.get(DEPLOYMENTS, coredns)).rejects.toThrow('not found');
  });

  it('leaves objects of the same names alone that were never ours, and says nothing', async () => {
    const [service] = (await addonObjects('dns', settings)).filter(
      ({ kind }) => kind === 'Service',
    );
    await client.create(SERVICES, service as never, { fieldManager: 'helm' });
    expect(await withdrawAddons(client, disabled, never)).toEqual([]);
    await client.get(SERVICES, kubeDns);
  });

  it('keeps the account of the proxy, under which nodes that have joined work', async () => {
    const withProxy = { ...settings, staticPods: true };
    await applyAddons(client, withProxy, never);
    const proxy = { namespace: 'kube-system', name: 'kube-proxy' };
    await client.get(DAEMON_SETS, proxy);
    expect(
      await withdrawAddons(client, { ...withProxy, chosen: { disabled: ['kube-proxy'] } }, never),
    ).toEqual([]);
    await expect(client.get(DAEMON_SETS, proxy)).rejects.toThrow('not found');
    await client.get(SERVICE_ACCOUNTS, proxy);
  });
});

describe('agreeOnParts', () => {
  const told = async () => {
    const { data } = await client.get(CONFIG_MAPS, SETTINGS_OBJECT);
    return JSON.parse(data?.['cluster.json'] ?? '');
  };
  const start = (disabled: readonly string[]) =>
    agreeOnParts(client, { ...settings, disabled, chosen: { disabled } }, never);
  /** Of one that has joined while all was there. */
  const startJoined = async () => (await agreeOnParts(client, settings, never)).settings.disabled;

  it('has nobody to agree with before a node was let in', async () => {
    expect(await start(['dns'])).toMatchObject({ settings: { disabled: ['dns'] }, problems: [] });
    expect(await startJoined()).toEqual([]);
  });

  it('makes control planes that have joined leave out what the first one leaves out now, and no longer', async () => {
    const data = { 'cluster.json': JSON.stringify(sharedSettings(settings)) };
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: SETTINGS_OBJECT, data };
    expect(await applyObjects(client, [object], never)).toEqual([]);
    for (const disabled of [['dns'], []]) {
      expect((await start(disabled)).problems).toEqual([]);
      expect(await startJoined()).toEqual(disabled);
      expect(await told()).toEqual({ ...JSON.parse(data['cluster.json']), disabled });
    }
  });

  it.each(['', '{}', '{"disabled":"dns"}'])(
    'names the object where it was changed to %j',
    async (text) => {
      const body = { data: { 'cluster.json': text } };
      await client.patch(CONFIG_MAPS, SETTINGS_OBJECT, { type: 'merge', body });
      await expect(startJoined()).rejects.toThrow(
        /^ConfigMap kube-system\/k8ts-config, key cluster\.json: .+; delete it: k8ts token create makes it anew$/,
      );
    },
  );
});
