import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { signalProcess } from '../../src/host/processes.ts';
import { NODE_NAME } from '../support/cluster.ts';
import { componentPid } from '../support/component-pid.ts';
import { eventually } from '../support/eventually.ts';
import { shellPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';

const cluster = sharedCluster();
const file = join(cluster.paths.staticPods, 'still.json');
const name = `still-${NODE_NAME}`;
const mirror = () => cluster.get('pod', name);
const write = (script: string) => writeFileSync(file, JSON.stringify(shellPod('still', script)));
const after = join(cluster.paths.staticPods, 'after.json');

const isGone = async () => {
  const options = { acceptExitCodes: [0, 1] };
  return (await cluster.tryKubectl(['get', 'pod', name], options)).exitCode === 1;
};

afterAll(async () => {
  for (const one of [file, after]) rmSync(one, { force: true });
  await eventually('nothing is left', isGone);
});

describe('a static Pod', () => {
  it('runs from its file, and its mirror shows it', async () => {
    write('echo one; sleep 3600');
    await eventually('the mirror is there', mirror);
    await cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');
    const { metadata, status } = await mirror();
    expect(metadata.annotations).toMatchObject({ 'kubernetes.io/config.source': 'file' });
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'Node', name: NODE_NAME }]);
    expect(status).toMatchObject({ phase: 'Running', podIP: expect.any(String) });
    const printed = () => cluster.kubectl('logs', name);
    await eventually('it logs', async () => (await printed()) === 'one\n');
    expect(await cluster.kubectl('exec', name, '--', 'hostname')).toBe(`${name}\n`);
  });

  it('outlives the deletion of its mirror, which comes back', async () => {
    const before = await mirror();
    await cluster.kubectl('delete', 'pod', name, '--wait=false');
    const after = await eventually('another mirror is Running', async () => {
      const now = await mirror();
      return now.metadata.uid !== before.metadata.uid && now.status.phase === 'Running' && now;
    });
    const id = (pod: typeof before) => pod.status.containerStatuses[0].containerID;
    expect(id(after)).toBe(id(before));
  });

  it('follows its file', async () => {
    write('echo two; sleep 3600');
    await eventually(
      'the new version logs',
      async () => (await cluster.kubectl('logs', name)) === 'two\n',
    );
    rmSync(file);
    await eventually('the mirror is gone', isGone);
  });

  it('stays Ready where its kubelet is started again, before it is asked anew', async () => {
    const readinessProbe = { exec: { command: ['true'] }, periodSeconds: 300 };
    writeFileSync(file, JSON.stringify(shellPod('still', 'sleep 3600', { readinessProbe })));
    await eventually('the mirror is there', mirror);
    await cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');
    signalProcess(await componentPid(cluster, 'kubelet'), 'SIGKILL');
    writeFileSync(after, JSON.stringify(shellPod('after', 'sleep 3600')));
    await eventually('the new kubelet runs what is new', async () => {
      return (await cluster.get('pod', `after-${NODE_NAME}`)).status.phase === 'Running';
    });
    expect((await mirror()).status.containerStatuses[0]).toMatchObject({ ready: true });
    rmSync(after);
  });
});
