import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { shellPod } from '../support/manifests.ts';
import { inPhase } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'eviction');
const evicted = (name: string) =>
  eventually(`${name} is evicted`, async () => {
    const { status } = await ns.get('pod', name);
    return status.phase === 'Failed' && status;
  });

describe('a Pod that takes more of the disk than it said', () => {
  it('in its container’s layer, is evicted and says so', async () => {
    const resources = { limits: { 'ephemeral-storage': '4Mi' } };
    await ns.apply(shellPod('greedy', 'head -c 9000000 /dev/zero > /x; sleep 3600', { resources }));
    const status = await evicted('greedy');
    expect(status).toMatchObject({
      reason: 'Evicted',
      message: 'Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ',
    });
    const told = status.conditions.find((c: { type: string }) => c.type === 'DisruptionTarget');
    expect(told).toMatchObject({ status: 'True', reason: 'TerminationByKubelet' });
    await eventually('the event', async () =>
      /Warning +Evicted +Pod\/greedy +Pod ephemeral local storage usage/.test(
        await ns.kubectl('events', '--for', 'pod/greedy'),
      ),
    );
  });

  it('in an empty directory with a limit, is evicted; one within its limit stays', async () => {
    const filling = (name: string, bytes: number) => {
      const script = `head -c ${bytes} /dev/zero > /data/x; sleep 3600`;
      const made = shellPod(name, script, { volumeMounts: [{ name: 'data', mountPath: '/data' }] });
      const volumes = [{ name: 'data', emptyDir: { sizeLimit: '2Mi' } }];
      return { ...made, spec: { ...(made.spec as object), volumes } };
    };
    await ns.apply(filling('modest', 1_000_000));
    await inPhase(ns, 'modest', 'Running');
    await ns.apply(filling('filling', 5_000_000));
    expect(await evicted('filling')).toMatchObject({
      message: 'Usage of EmptyDir volume "data" exceeds the limit "2Mi". ',
    });
    expect((await ns.get('pod', 'modest')).status.phase).toBe('Running');
  });
});
