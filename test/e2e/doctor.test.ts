import { describe, expect, it } from 'vitest';
import { K8TS } from '../support/cluster.ts';
import { componentPid } from '../support/component-pid.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod, webDeployment } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'doctor');

/** What it prints, and its exit code. */
async function doctor(...words: string[]): Promise<{ text: string; exitCode: number }> {
  const args = ['doctor', ...words, '--root', cluster.paths.root];
  const { stdout, exitCode } = await cluster.network.run(K8TS, args, { acceptExitCodes: [0, 1] });
  return { text: stdout, exitCode };
}

/** The same, as soon as it says so: components need a moment to act. */
async function diagnosis(words: string[], expected: RegExp): Promise<void> {
  await eventually(`the doctor says ${expected}`, async () => {
    const { text, exitCode } = await doctor(...words, '-n', ns.name);
    return exitCode === 1 && expected.test(text);
  });
}

describe('k8ts doctor', () => {
  it('looks at every component', async () => {
    const processes = ['containerd', 'apiserver', 'kubelet', 'controller-manager', 'scheduler'];
    const wanted = [
      ...[...processes, 'proxy'].map(
        (name) => new RegExp(`^ok +${name} +runs as process \\d+$`, 'm'),
      ),
      /^ok +certificates +the first lapses in \d+ days$/m,
      /^ok +apiserver +is ready/m,
      /^ok +node node-1 +is Ready$/m,
      /^ok +dns +\S+ answers$/m,
    ];
    // A busy machine may let one of them wait for longer than the doctor does.
    await eventually('all are well', async () => {
      const { text } = await doctor();
      for (const line of wanted) expect(text).toMatch(line);
      return true;
    });
  });

  it('names the scheduler where a Pod fits nowhere', async () => {
    await ns.apply(shellPod('huge', 'sleep 1', { resources: { requests: { cpu: '1000' } } }));
    await diagnosis(
      ['pod', 'huge'],
      /WRONG +scheduler +0\/1 nodes .*Insufficient cpu.*next: k8ts explain pod huge/s,
    );
  });

  it('names the image, and the container that ends', async () => {
    await ns.apply(shellPod('nothing', 'true', { image: 'localhost/no/such:1' }));
    await ns.apply(shellPod('crashing', 'exit 3'));
    await diagnosis(['pod', 'nothing'], /WRONG +images +main: (ErrImagePull|ImagePullBackOff)/);
    await diagnosis(
      ['pod', 'crashing'],
      /WRONG +container +main ends again and again: Error, exit code 3.*logs crashing -c main --previous/s,
    );
  });

  it('names the selector that chooses nothing, and finds nothing with a Service that answers', async () => {
    await ns.apply(list(webDeployment('well', 1), service('well'), service('lonely')));
    await ns.kubectl('rollout', 'status', 'deployment/well', '--timeout=120s');
    await diagnosis(
      ['service', 'lonely'],
      /WRONG +selector +no Pod of doctor has the labels app=lonely/,
    );
    await eventually('the Service is well', async () => {
      const { exitCode } = await doctor('service', 'well', '-n', ns.name);
      return exitCode === 0;
    });
  });

  it('follows a connection to the policy that ends it, and to the port where nobody listens', async () => {
    const apart = { ports: [{ port: 80, targetPort: 9 }], selector: { app: 'well' } };
    await ns.apply(service('deaf', apart));
    await diagnosis(['service', 'deaf'], /WRONG +containers +\S+:9 refuses connections/);
    const metadata = { name: 'closed' };
    const spec = { podSelector: { matchLabels: { app: 'well' } }, policyTypes: ['Ingress'] };
    const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec };
    await ns.apply(policy);
    await diagnosis(
      ['service', 'well', '--from', 'crashing'],
      /WRONG +policy +NetworkPolicies closed let crashing not in to port 8080.*describe networkpolicy closed/s,
    );
  });

  it('names the quota for which a Pod was not made, by the name of what should have made it', async () => {
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'nothing-more' },
      spec: { hard: { pods: '0' } },
    };
    await ns.apply(quota);
    await eventually('it counts', async () => (await ns.get('quota', 'nothing-more')).status.used);
    await ns.apply(webDeployment('unmade', 1));
    await diagnosis(
      ['pod', 'unmade'],
      /WRONG +quota .*exceeded quota: nothing-more.*describe resourcequota nothing-more/s,
    );
  });

  it('names components that hang, of which the API server is the cause of all else', async () => {
    const names = ['apiserver', 'scheduler'];
    const pids = await Promise.all(names.map((name) => componentPid(cluster, name)));
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      const { text, exitCode } = await doctor('pod', 'huge', '-n', ns.name);
      expect(exitCode).toBe(1);
      for (const [i, name] of names.entries()) {
        expect(text).toMatch(
          new RegExp(
            `WRONG +${name} +runs as process ${pids[i]}, but does not answer at .*\n.*next: kill -CONT ${pids[i]}`,
          ),
        );
      }
      expect(text).not.toContain('ok ');
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
  });
});
