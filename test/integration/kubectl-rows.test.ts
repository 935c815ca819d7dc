import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { kubectlProgram } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';

// What upstream's conformance tests of sig-cli ask of the API server alone.

let server: TestApiServer;
const directory = mkdtempSync(join(tmpdir(), 'k8ts-kubectl-rows-'));
beforeAll(async () => {
  server = await startApiServer();
  // Pods run as it, and there is no controller that makes it.
  const body = { metadata: { name: 'default' } };
  await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', { body });
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

const environment = () => ({ HOME: directory, KUBECONFIG: server.kubeconfig });
const kubectl = async (...args: string[]) => {
  const { stdout } = await run(kubectlProgram(), args, { env: environment() });
  return stdout;
};

/** Runs a kubectl proxy until the look at it is over. */
async function throughProxy(args: string[], look: (said: string) => Promise<void>): Promise<void> {
  const env = { ...process.env, ...environment() };
  const proxy: ChildProcess = spawn(kubectlProgram(), ['proxy', ...args], { env });
  const ended = new Promise((resolve) => proxy.once('close', resolve));
  let said = '';
  proxy.stdout?.on('data', (chunk) => (said += chunk));
  try {
    await eventually('it serves', () => said.includes('Starting to serve on '));
    await look(said);
  } finally {
    proxy.kill('SIGKILL');
    await ended;
  }
}

function fetched(target: { port?: number; socketPath?: string }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', ...target, path: '/api/' }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve(JSON.parse(Buffer.concat(chunks).toString()));
    });
    asked.on('error', reject).end();
  });
}

const VERSIONS = { kind: 'APIVersions', versions: ['v1'] };

describe('kubectl proxy', () => {
  it('serves on a port that it finds', async () => {
    await throughProxy(['--port', '0', '--disable-filter'], async (said) => {
      const port = Number(/127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
      expect(await fetched({ port })).toMatchObject(VERSIONS);
    });
  });

  it('serves on a socket', async () => {
    const socketPath = join(directory, 'proxy.sock');
    await throughProxy([`--unix-socket=${socketPath}`], async () => {
      expect(await fetched({ socketPath })).toMatchObject(VERSIONS);
    });
  });
});

describe('kubectl', () => {
  it('finds the server, its version and v1', async () => {
    expect(await kubectl('version')).toMatch(/^Client Version: v\d.*^Server Version: v1\.36/ms);
    expect(await kubectl('cluster-info')).toMatch(/Kubernetes control plane.* is running at/);
    expect((await kubectl('api-versions')).split('\n')).toContain('v1');
  });

  it('runs a Pod once, and changes nothing of it when it only tries', async () => {
    await kubectl('run', 'once', '--restart=Never', '--image=first:1', '--labels=run=once');
    const path = '/api/v1/namespaces/default/pods/once';
    const { body } = await server.request('GET', path);
    expect(body.spec).toMatchObject({
      restartPolicy: 'Never',
      containers: [{ name: 'once', image: 'first:1' }],
    });
    const patch = '{"spec":{"containers":[{"name":"once","image":"second:1"}]}}';
    const tried = await kubectl('patch', 'pod', 'once', '-p', patch, '--dry-run=server', '-o=yaml');
    expect(tried).toContain('image: second:1');
    expect((await server.request('GET', path)).body).toEqual(body);
    const replaced = structuredClone(body);
    replaced.spec.containers[0].image = 'third:1';
    writeFileSync(join(directory, 'pod.json'), JSON.stringify(replaced));
    await kubectl('replace', '-f', join(directory, 'pod.json'));
    expect((await server.request('GET', path)).body.spec.containers[0].image).toBe('third:1');
    await kubectl('label', 'pod', 'once', 'testing-label=a');
    expect(await kubectl('get', 'pod', 'once', '-L', 'testing-label')).toMatch(/ a\n$/);
    await kubectl('label', 'pod', 'once', 'testing-label-');
    expect(await kubectl('get', 'pod', 'once', '-L', 'testing-label')).not.toMatch(/ a\n$/);
  });

  it('finds the difference of a Deployment', async () => {
    await kubectl('create', 'deployment', 'differs', '--image=first:1');
    const path = '/apis/apps/v1/namespaces/default/deployments/differs';
    const { body } = await server.request('GET', path);
    body.spec.template.spec.containers[0].image = 'second:1';
    const wanted = join(directory, 'deployment.json');
    writeFileSync(wanted, JSON.stringify(body));
    const options = { env: environment(), acceptExitCodes: [1] };
    const { exitCode, stdout } = await run(kubectlProgram(), ['diff', '-f', wanted], options);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^- +(- )?image: first:1$/m);
    expect(stdout).toMatch(/^\+ +(- )?image: second:1$/m);
  });

  it('explains every kind to its last field', async () => {
    const kinds = (await kubectl('api-resources', '--no-headers')).trim().split('\n');
    const columns = kinds.map((line) => line.trim().split(/\s+/).slice(-4));
    expect(columns.length).toBeGreaterThan(60);
    const explain = async ([, version = '', , kind = '']: string[]) => {
      const said = await kubectl('explain', kind, `--api-version=${version}`, '--recursive');
      expect(said).toContain(`KIND:       ${kind}\n`);
      expect(said).toMatch(
        /^FIELDS:\n {2}\S+\t<.*^ {2}metadata\t<ObjectMeta>.*^ {4}name\t<string>/ms,
      );
    };
    // Each is a process of its own.
    for (let at = 0; at < columns.length; at += 4) {
      await Promise.all(columns.slice(at, at + 4).map(explain));
    }
  }, 120_000);
});
