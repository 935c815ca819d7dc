import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, DEPLOYMENTS, PODS, SERVICE_ACCOUNTS } from '../../src/api/resource-types.ts';
import { CLUSTER_TRUST_BUNDLES } from '../../src/api/system-resource-types.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

const run = promisify(execFile);
let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ controllers: true });
});
afterAll(() => plane?.stop());

describe('controller manager', () => {
  it('works with a service account for each controller', async () => {
    await plane.client.create(DEPLOYMENTS, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { namespace: 'default', name: 'web' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'c', image: 'x' }] },
        },
      },
    });
    await eventually('a Pod', async () => {
      const { items } = await plane.client.list(PODS, { namespace: 'default' });
      return items.length === 1;
    });
    const accounts = await plane.client.list(SERVICE_ACCOUNTS, { namespace: 'kube-system' });
    expect(accounts.items.map(({ metadata }) => metadata.name)).toEqual(
      expect.arrayContaining(['deployment-controller', 'replicaset-controller']),
    );
  });

  it('publishes the authority for all namespaces at once, too', async () => {
    const bundle = await eventually('a trust bundle', async () => {
      const { items } = await plane.client.list(CLUSTER_TRUST_BUNDLES);
      return items.find(({ spec }) => spec.signerName === 'kubernetes.io/kube-apiserver-serving');
    });
    const ca = { namespace: 'default', name: 'kube-root-ca.crt' };
    const map = await eventually('the authority', () => plane.client.get(CONFIG_MAPS, ca));
    expect(bundle.spec.trustBundle).toBe(map.data?.['ca.crt']);
  });

  it('makes its account anew when somebody deletes it', async () => {
    const name = 'root-ca-cert-publisher';
    const ca = { namespace: 'default', name: 'kube-root-ca.crt' };
    await eventually('the authority', () => plane.client.get(CONFIG_MAPS, ca));
    await plane.client.delete(SERVICE_ACCOUNTS, { namespace: 'kube-system', name });
    await plane.client.delete(CONFIG_MAPS, ca);
    await eventually('the authority again', () => plane.client.get(CONFIG_MAPS, ca));
  });

  it('tells the health of each controller', async () => {
    const url = `https://127.0.0.1:${plane.controllerManagerPort}/healthz`;
    const { stdout } = await run('curl', ['-sk', `${url}/deployment-controller`, `${url}?verbose`]);
    expect(stdout).toContain('[+]job-controller ok');
    expect(stdout).toContain('healthz check passed');
  });
});
