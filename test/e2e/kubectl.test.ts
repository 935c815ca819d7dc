import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kubectlProgram, NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, shellPod, webDeployment, webPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'kubectl');

/** A kubectl that goes on running; what it has printed so far. */
function background(...args: string[]) {
  const [program = '', ...words] = cluster.network.enter;
  const child = spawn(program, [...words, kubectlProgram(), '-n', ns.name, ...args], {
    env: {
      ...process.env,
      HOME: cluster.paths.root,
      KUBECONFIG: cluster.paths.kubeconfig('admin'),
    },
  });
  const output = { text: '' };
  child.stdout.on('data', (chunk) => (output.text += chunk));
  child.stderr.on('data', (chunk) => (output.text += chunk));
  return { output, stdin: child.stdin, stop: () => child.kill('SIGKILL') };
}

describe('kubectl get', () => {
  it('prints Pods as upstream does, narrow and wide', async () => {
    await ns.apply(webPod('shown'));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/shown', '--timeout=120s');
    const narrow = (await ns.kubectl('get', 'pod', 'shown')).trim().split('\n');
    expect(narrow[0]).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE$/);
    expect(narrow[1]).toMatch(/^shown +1\/1 +Running +0 +\d+s$/);
    const wide = (await ns.kubectl('get', 'pod', 'shown', '-o', 'wide')).trim().split('\n');
    expect(wide[0]).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/,
    );
    expect(wide[1]).toMatch(/10\.244\.0\.\d+ +node-1 +<none> +<none>$/);
  });

  it('answers every output format', async () => {
    expect(await ns.kubectl('get', 'pod', 'shown', '-o', 'name')).toBe('pod/shown\n');
    expect(await ns.kubectl('get', 'pod', 'shown', '-o', 'jsonpath={.spec.nodeName}')).toBe(
      NODE_NAME,
    );
    expect(await ns.kubectl('get', 'pod', 'shown', '-o', 'yaml')).toContain('kind: Pod\n');
    expect(await ns.kubectl('get', 'pod', 'shown', '-o', 'go-template={{.kind}}')).toBe('Pod');
    const columns = 'custom-columns=N:.metadata.name,P:.status.phase';
    expect(await ns.kubectl('get', 'pods', '-o', columns)).toMatch(/^N +P\nshown +Running\n$/);
    expect(await ns.kubectl('get', 'pods', '--show-labels')).toContain('app=shown');
    expect(await ns.kubectl('get', 'pods', '-L', 'app')).toMatch(/AGE +APP\n/);
  });

  it('selects by label, by field and across namespaces', async () => {
    expect(await ns.kubectl('get', 'pods', '-l', 'app=shown', '-o', 'name')).toBe('pod/shown\n');
    expect(await ns.kubectl('get', 'pods', '-l', 'app notin (shown)', '-o', 'name')).toBe('');
    const field = `spec.nodeName=${NODE_NAME},metadata.name=shown`;
    expect(await ns.kubectl('get', 'pods', '--field-selector', field, '-o', 'name')).toBe(
      'pod/shown\n',
    );
    expect(await cluster.kubectl('get', 'pods', '-A')).toMatch(/^NAMESPACE +NAME/);
    expect(await cluster.kubectl('get', 'pods', '-A')).toContain(ns.name);
    expect(await cluster.kubectl('get', 'nodes', '-o', 'wide')).toMatch(
      /node-1 +Ready .*containerd:\/\//,
    );
  });

  it('watches', async () => {
    const all = background('get', 'configmaps', '-w', '-o', 'name');
    const only = background('get', 'configmaps', '--watch-only', '-o', 'name');
    try {
      await eventually('the watch lists what exists', () =>
        all.output.text.includes('kube-root-ca.crt'),
      );
      await eventually('a change is seen by both', async () => {
        await ns.kubectl('delete', 'configmap', 'seen', '--ignore-not-found');
        await ns.kubectl('create', 'configmap', 'seen');
        return [all, only].every(({ output }) => output.text.includes('configmap/seen'));
      });
      expect(only.output.text).not.toContain('kube-root-ca.crt');
    } finally {
      all.stop();
      only.stop();
    }
  });

  it('answers raw paths and discovery', async () => {
    const ready = await cluster.kubectl('get', '--raw', '/readyz?verbose');
    expect(ready).toContain('[+]ping ok');
    expect(ready).toContain('readyz check passed');
    expect(await cluster.kubectl('version')).toContain('Server Version: v1.36.2+k8ts');
    expect(await cluster.kubectl('cluster-info')).toContain('Kubernetes control plane');
    expect(await cluster.kubectl('api-versions')).toContain('discovery.k8s.io/v1\n');
    expect(await cluster.kubectl('api-resources')).toMatch(
      /deployments +deploy +apps\/v1 +true +Deployment/,
    );
    expect(await cluster.kubectl('explain', 'pod.spec.containers.livenessProbe')).toContain(
      'FIELD: livenessProbe',
    );
    const logged = await cluster.tryKubectl(['get', 'pods', '-n', ns.name, '-v=8']);
    expect(logged.stderr).toMatch(/GET|verb="GET"/);
  });
});

describe('kubectl describe', () => {
  it('tells of a node, a Pod, a Deployment and a Service, with events', async () => {
    await ns.apply(list(webDeployment('told', 1), service('told')));
    await ns.kubectl('rollout', 'status', 'deployment/told', '--timeout=120s');
    expect(await cluster.kubectl('describe', 'node', NODE_NAME)).toMatch(/Ready +True/);
    await eventually('the events', async () => {
      const pod = await ns.kubectl('describe', 'pod', '-l', 'app=told');
      return (
        /Normal +Started .*kubelet/.test(pod) && /Normal +Scheduled .*default-scheduler/.test(pod)
      );
    });
    // Each is written by a controller of its own, in its own time.
    const says = (words: string[], what: RegExp) =>
      eventually(`kubectl ${words.join(' ')} says ${what}`, async () =>
        what.test(await ns.kubectl(...words)),
      );
    await says(['describe', 'deployment', 'told'], /ScalingReplicaSet/);
    await says(['describe', 'service', 'told'], /Endpoints: +10\.244\.0\.\d+:8080/);
    const events = await ns.kubectl('get', 'events', '--sort-by=.lastTimestamp');
    expect(events).toMatch(/^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE/);
    await says(['get', 'endpoints', 'told'], /told +10\.244\.0\.\d+:8080/);
    await says(['get', 'endpointslices'], /told-\w+ +IPv4 +8080 +10\.244/);
  });
});

describe('kubectl writes', () => {
  it('applies files, directories, standard input and several documents, and merges three ways', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'k8ts-manifests-'));
    try {
      const config = (name: string, data: object) =>
        JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
      writeFileSync(
        join(dir, 'a.yaml'),
        `${config('a', { one: '1', two: '2' })}\n---\n${config('b', {})}`,
      );
      writeFileSync(join(dir, 'c.json'), config('c', {}));
      expect(await ns.kubectl('apply', '-f', dir)).toBe(
        'configmap/a created\nconfigmap/b created\nconfigmap/c created\n',
      );
      await ns.kubectl('patch', 'configmap', 'a', '-p', '{"data":{"other":"kept"}}');
      writeFileSync(join(dir, 'a.yaml'), config('a', { one: '1' }));
      expect(await ns.kubectl('apply', '-f', join(dir, 'a.yaml'))).toBe('configmap/a configured\n');
      expect((await ns.get('configmap', 'a')).data).toEqual({ one: '1', other: 'kept' });
      expect(await ns.kubectl('apply', '-f', join(dir, 'a.yaml'))).toBe('configmap/a unchanged\n');
      const dryRun = await ns.kubectl('create', 'configmap', 'dry', '--dry-run=server');
      expect(dryRun).toBe('configmap/dry created (server dry run)\n');
      expect(await ns.refused(['get', 'configmap', 'dry'])).toContain('NotFound');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('patches in three ways, labels and annotates', async () => {
    await ns.kubectl('create', 'configmap', 'changed', '--from-literal=k=v');
    const patch = (type: string, body: string) =>
      ns.kubectl('patch', 'configmap', 'changed', `--type=${type}`, '-p', body);
    await patch('json', '[{"op":"replace","path":"/data/k","value":"json"}]');
    await patch('merge', '{"data":{"m":"merge"}}');
    await patch('strategic', '{"data":{"s":"strategic"}}');
    await ns.kubectl('label', 'configmap', 'changed', 'colour=red');
    await ns.kubectl('annotate', 'configmap', 'changed', 'note=why');
    const changed = await ns.get('configmap', 'changed');
    expect(changed.data).toEqual({ k: 'json', m: 'merge', s: 'strategic' });
    expect(changed.metadata.labels).toEqual({ colour: 'red' });
    expect(changed.metadata.annotations).toEqual({ note: 'why' });
  });

  it('edits with an editor', async () => {
    await ns.kubectl('create', 'configmap', 'edited', '--from-literal=k=before');
    const command = ['-n', ns.name, 'edit', 'configmap', 'edited'];
    const { stdout } = await cluster.network.run(
      'env',
      ['KUBE_EDITOR=sed -i s/before/after/', kubectlProgram(), ...command],
      { env: { KUBECONFIG: cluster.paths.kubeconfig('admin'), HOME: cluster.paths.root } },
    );
    expect(stdout).toBe('configmap/edited edited\n');
    expect((await ns.get('configmap', 'edited')).data).toEqual({ k: 'after' });
  });

  it('runs, exposes and deletes', async () => {
    const run = ['run', 'made', '--image=localhost/k8ts/web:1', '--port=8080'];
    expect(await ns.kubectl(...run)).toBe('pod/made created\n');
    expect(await ns.kubectl('expose', 'pod', 'made', '--port=80', '--target-port=8080')).toBe(
      'service/made exposed\n',
    );
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/made', '--timeout=120s');
    const { spec } = await ns.get('service', 'made');
    const answer = () => cluster.fetch(`http://${spec.clusterIP}/`);
    expect(await eventually('the Service answers', answer)).toBe('made');
    expect(await ns.kubectl('delete', 'pod/made', 'service/made', '--grace-period=1')).toContain(
      'deleted',
    );
    expect(await ns.refused(['get', 'pod', 'made'])).toContain('pods "made" not found');
  });
});

describe('kubectl rollout', () => {
  it('changes the image, keeps a history, goes back and restarts', async () => {
    await ns.apply(webDeployment('rolled', 2));
    const status = () => ns.kubectl('rollout', 'status', 'deployment/rolled', '--timeout=120s');
    expect(await status()).toContain('successfully rolled out');
    await ns.kubectl('set', 'image', 'deployment/rolled', 'web=localhost/k8ts/missing:1');
    // There is nothing to go back from until the controller has made the next revision.
    await eventually('it is undone', () => ns.kubectl('rollout', 'undo', 'deployment/rolled'));
    expect(await status()).toContain('successfully rolled out');
    await ns.kubectl('set', 'env', 'deployment/rolled', 'COLOUR=blue');
    expect(await status()).toContain('successfully rolled out');
    const history = await ns.kubectl('rollout', 'history', 'deployment/rolled');
    expect(history).toMatch(/REVISION +CHANGE-CAUSE/);
    expect(history.trim().split('\n').length).toBeGreaterThanOrEqual(4);
    await ns.kubectl('rollout', 'restart', 'deployment/rolled');
    expect(await status()).toContain('successfully rolled out');
    const { spec } = await ns.get('deployment', 'rolled');
    expect(spec.template.metadata.annotations).toHaveProperty('kubectl.kubernetes.io/restartedAt');
    expect(spec.template.spec.containers[0].env).toEqual([{ name: 'COLOUR', value: 'blue' }]);
  });

  it('scales up and down', async () => {
    await ns.apply(webDeployment('scaled', 1));
    await ns.kubectl('scale', 'deployment/scaled', '--replicas=3');
    await ns.kubectl('rollout', 'status', 'deployment/scaled', '--timeout=120s');
    expect((await ns.get('pods', '-l', 'app=scaled')).items).toHaveLength(3);
    await ns.kubectl('scale', 'deployment/scaled', '--replicas=0');
    await ns.kubectl('wait', '--for=delete', 'pod', '-l', 'app=scaled', '--timeout=120s');
  });
});

describe('kubectl delete of an owner', () => {
  const owned = async (name: string) => {
    await ns.apply(webDeployment(name, 1));
    await ns.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=120s');
  };
  const count = async (kind: string, name: string) =>
    (await ns.get(kind, '-l', `app=${name}`)).items.length;

  it('takes what it owns in the background', async () => {
    await owned('background');
    await ns.kubectl('delete', 'deployment', 'background', '--cascade=background');
    await eventually('nothing is left', async () => (await count('pods', 'background')) === 0);
  });

  it('takes what it owns first in the foreground', async () => {
    await owned('foreground');
    await ns.kubectl('delete', 'deployment', 'foreground', '--cascade=foreground');
    expect(await count('replicasets', 'foreground')).toBe(0);
  });

  it('leaves orphans when told so', async () => {
    await owned('orphan');
    await ns.kubectl('delete', 'deployment', 'orphan', '--cascade=orphan');
    const { items } = await ns.get('replicasets', '-l', 'app=orphan');
    expect(items).toHaveLength(1);
    await eventually('the ReplicaSet has no owner', async () => {
      const left = await ns.get('replicasets', '-l', 'app=orphan');
      return left.items[0].metadata.ownerReferences === undefined;
    });
    await ns.kubectl('delete', 'replicaset', '-l', 'app=orphan');
  });
});

describe('kubectl logs, exec and port-forward', () => {
  it('prints logs: all, the tail, since, of one container, of the one before, and follows', async () => {
    const script =
      'echo one; echo two; echo three; until [ -e /tmp/go ]; do sleep 0.1; done; echo last; exit 1';
    await ns.apply({ ...shellPod('talker', script) });
    const log = (...args: string[]) => ns.kubectl('logs', 'talker', ...args);
    await eventually('three lines', async () => (await log()).includes('three'));
    expect(await log('--tail=1', '-c', 'main')).toBe('three\n');
    expect(await log('--since=1h')).toBe('one\ntwo\nthree\n');
    expect(await log('--timestamps')).toMatch(/^\d{4}-\d\d-\d\dT.* one\n/);
    const follower = background('logs', '-f', 'talker');
    await eventually('the follower is there', () => follower.output.text.includes('three'));
    // The container after it has no such file, and does not end.
    await ns.kubectl('exec', 'talker', '--', 'touch', '/tmp/go');
    await eventually('the follower sees the end', () => follower.output.text.includes('last'));
    follower.stop();
    await eventually(
      'the log of the container before',
      async () => (await log('--previous')) === 'one\ntwo\nthree\nlast\n',
    );
    await ns.kubectl('delete', 'pod', 'talker', '--now');
  });

  it('runs commands, passes their exit code on, and works interactively', async () => {
    await ns.apply(shellPod('doer', 'sleep 3600'));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/doer', '--timeout=120s');
    expect(await ns.kubectl('exec', 'doer', '--', 'echo', 'a b', 'c')).toBe('a b c\n');
    const failed = await cluster.tryKubectl(
      ['-n', ns.name, 'exec', 'doer', '--', 'sh', '-c', 'exit 7'],
      {
        acceptExitCodes: [7],
      },
    );
    expect(failed.stderr).toContain('command terminated with exit code 7');
    const piped = await cluster.tryKubectl(['-n', ns.name, 'exec', '-i', 'doer', '--', 'cat'], {
      input: 'through the pipe',
    });
    expect(piped.stdout).toBe('through the pipe');
    const shell = background('exec', '-i', 'doer', '--', 'sh');
    shell.stdin.write('echo $((6 * 7))\n');
    await eventually('the shell answers', () => shell.output.text.includes('42'));
    shell.stdin.end('exit\n');
    await ns.kubectl('delete', 'pod', 'doer', '--now');
  });

  it('forwards a port', async () => {
    await ns.apply(webPod('forwarded'));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/forwarded', '--timeout=120s');
    const forward = background('port-forward', 'pod/forwarded', '18080:8080');
    try {
      await eventually('it listens', () =>
        forward.output.text.includes('Forwarding from 127.0.0.1:18080'),
      );
      for (let i = 0; i < 3; i++) {
        expect(await cluster.fetch('http://127.0.0.1:18080/')).toBe('forwarded');
      }
    } finally {
      forward.stop();
    }
  });
});
