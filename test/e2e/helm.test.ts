import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const REPO = resolve(import.meta.dirname, '../..');
const HELM = join(REPO, 'node_modules/.cache/tools/helm');
const CHART = join(REPO, 'test/fixtures/chart');

const cluster = sharedCluster();
const namespace = testNamespace(cluster, 'helm');

async function helm(...args: string[]): Promise<string> {
  if (!existsSync(HELM)) throw new Error(`${HELM} is missing; run deploy/test.sh once`);
  const env = { HOME: cluster.paths.root, KUBECONFIG: cluster.paths.kubeconfig('admin') };
  const { stdout } = await cluster.network.run(HELM, [...args, '-n', namespace.name], {
    ...{ timeoutMs: 150_000, env },
  });
  return stdout;
}

const WAIT = ['--wait', '--timeout', '120s'];

describe('helm', () => {
  it('installs a chart with a hook, a CustomResourceDefinition and an object of it', async () => {
    expect(await helm('install', 'demo', CHART, ...WAIT)).toContain('STATUS: deployed');
    const { status } = await namespace.get('deployment/demo');
    expect(status.readyReplicas).toBe(1);
    const gadget = await namespace.get('gadgets.chart.example.com/demo');
    expect(gadget.spec.size).toBe(3);
    const hook = await namespace.get('job/demo-before');
    expect(hook.status.succeeded).toBe(1);
  });

  it('upgrades it, and rolls back', async () => {
    await helm('upgrade', 'demo', CHART, '--set', 'message=bye,replicas=2', ...WAIT);
    const message = async () => (await namespace.get('cm/demo')).data.message;
    expect(await message()).toBe('bye');
    await helm('rollback', 'demo', '1', ...WAIT);
    expect(await message()).toBe('hello');
    const { spec } = await namespace.get('deployment/demo');
    expect(spec.replicas).toBe(1);
    const history = JSON.parse(await helm('history', 'demo', '-o', 'json'));
    expect(history.map(({ status }: { status: string }) => status)).toEqual([
      ...['superseded', 'superseded', 'deployed'],
    ]);
  });

  it('says what the server refuses, and leaves the release as it is', async () => {
    await expect(helm('upgrade', 'demo', CHART, '--set', 'replicas=-1', ...WAIT)).rejects.toThrow(
      'must be greater than or equal to 0',
    );
    // The roll-back waited for enough ready Pods, not for the end of those that are too many.
    await eventually('one is ready', async () => {
      const { status } = await namespace.get('deployment/demo');
      return status.readyReplicas === 1;
    });
  });

  it('tests it', async () => {
    expect(await helm('test', 'demo', '--logs')).toContain('tested');
  });

  it('uninstalls it', async () => {
    await helm('uninstall', 'demo', ...WAIT);
    const { items } = await namespace.get('deployments,services,gadgets');
    expect(items).toEqual([]);
    await cluster.kubectl('delete', 'crd', 'gadgets.chart.example.com');
  });
});
