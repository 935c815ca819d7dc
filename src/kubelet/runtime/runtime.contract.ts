import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openExecStreams } from '../../http/exec-streams.ts';
import { SpdyConnection } from '../../http/spdy.ts';
import { dialUpgrade } from '../../http/upgrade.ts';
import { isRpcDeadline } from '../../util/grpc.ts';
import type { ContainerConfig, ContainerRuntime, PodSandboxConfig } from './runtime.ts';

/** A real engine that a suite runs on. */
export interface EngineUnderTest {
  readonly runtime: ContainerRuntime;
  /** A busybox that the engine has. */
  readonly image: string;
  readonly cgroupParent: string;
  stop(): Promise<void>;
}

const LABELS = (name: string, uid: string) => ({
  'io.kubernetes.pod.name': name,
  'io.kubernetes.pod.namespace': 'contract',
  'io.kubernetes.pod.uid': uid,
});

/** What the kubelet relies on, whichever engine runs. Each promise of `ContainerRuntime` on a real engine. */
export function runtimeContract(name: string, start: () => Promise<EngineUnderTest>): void {
  describe(`ContainerRuntime: ${name}`, () => {
    let engine: EngineUnderTest;
    let runtime: ContainerRuntime;
    let logs: string;
    let pods = 0;

    beforeAll(async () => {
      engine = await start();
      runtime = engine.runtime;
      logs = mkdtempSync(join(tmpdir(), 'contract-logs-'));
    });
    afterAll(async () => {
      if (logs) rmSync(logs, { recursive: true, force: true });
      await engine?.stop();
    });
    afterEach(async () => {
      for (const { id } of await runtime.listPodSandboxes()) {
        await runtime.stopPodSandbox(id);
        await runtime.removePodSandbox(id);
      }
      expect(await runtime.listPodSandboxes()).toEqual([]);
      expect(await runtime.listContainers()).toEqual([]);
    });

    function sandboxConfig(change: Partial<PodSandboxConfig> = {}): PodSandboxConfig {
      const uid = `uid-${++pods}`;
      const logDirectory = join(logs, uid);
      mkdirSync(logDirectory, { recursive: true });
      return {
        metadata: { name: 'pod', uid, namespace: 'contract', attempt: 3 },
        hostname: 'the-host',
        logDirectory,
        dnsConfig: { servers: ['10.9.8.7'], searches: ['svc.test'], options: ['ndots:5'] },
        portMappings: [],
        labels: LABELS('pod', uid),
        annotations: { 'an.annotation/x': 'its value' },
        linux: {
          cgroupParent: `${engine.cgroupParent}/pod${uid}`,
          securityContext: {
            namespaceOptions: { network: 'POD', pid: 'CONTAINER', ipc: 'POD' },
            readonlyRootfs: false,
            supplementalGroups: [],
            supplementalGroupsPolicy: 'Merge',
            privileged: false,
          },
          sysctls: {},
        },
        ...change,
      };
    }

    function containerConfig(
      sandbox: PodSandboxConfig,
      script: string,
      change: Partial<ContainerConfig> = {},
    ): ContainerConfig {
      return {
        metadata: { name: 'main', attempt: 2 },
        image: { image: engine.image },
        command: ['sh', '-c', script],
        args: [],
        workingDir: '/tmp',
        envs: [{ key: 'GREETING', value: Buffer.from('hello') }],
        mounts: [],
        devices: [],
        labels: { ...sandbox.labels, 'io.kubernetes.container.name': 'main' },
        annotations: { 'io.kubernetes.container.hash': 'abc' },
        logPath: 'main/2.log',
        stdin: false,
        stdinOnce: false,
        tty: false,
        linux: {
          resources: { memoryLimitInBytes: 64 * 2 ** 20, cpuShares: 100, oomScoreAdj: 500 },
          securityContext: {
            privileged: false,
            namespaceOptions: { network: 'POD', pid: 'CONTAINER', ipc: 'POD' },
            readonlyRootfs: false,
            supplementalGroups: [4242],
            supplementalGroupsPolicy: 'Merge',
            noNewPrivs: true,
            maskedPaths: ['/proc/kcore'],
            readonlyPaths: ['/proc/sys'],
          },
        },
        ...change,
      };
    }

    async function running(script: string, change: Partial<ContainerConfig> = {}) {
      const sandbox = sandboxConfig();
      mkdirSync(join(sandbox.logDirectory, 'main'), { recursive: true });
      const sandboxId = await runtime.runPodSandbox(sandbox, '');
      const config = containerConfig(sandbox, script, change);
      const id = await runtime.createContainer(sandboxId, config, sandbox);
      await runtime.startContainer(id);
      return { id, sandboxId, log: join(sandbox.logDirectory, config.logPath) };
    }

    async function ended(id: string) {
      for (;;) {
        const status = await runtime.containerStatus(id);
        if (status?.state === 'CONTAINER_EXITED') return status;
        await sleep(50);
      }
    }

    async function until<T>(look: () => T | Promise<T>): Promise<NonNullable<T>> {
      for (;;) {
        const found = await look();
        if (found) return found;
        await sleep(50);
      }
    }

    it('says what it is and that it is ready', async () => {
      expect((await runtime.version()).runtimeName).toBeTruthy();
      const { conditions } = await runtime.status();
      expect(conditions.map(({ type, status }) => [type, status])).toEqual([
        ['RuntimeReady', true],
        ['NetworkReady', true],
      ]);
    });

    it('gives a sandbox an address, its name and its resolvers, and finds it again by its labels', async () => {
      const config = sandboxConfig();
      const id = await runtime.runPodSandbox(config, '');
      const status = await runtime.podSandboxStatus(id);
      expect(status).toMatchObject({
        state: 'SANDBOX_READY',
        metadata: config.metadata,
        labels: config.labels,
        annotations: config.annotations,
        network: { ip: expect.stringMatching(/^10\.\d+\.\d+\.\d+$/) },
      });
      const uid = { 'io.kubernetes.pod.uid': config.metadata.uid };
      expect((await runtime.listPodSandboxes(uid)).map((s) => s.id)).toEqual([id]);
      expect(await runtime.listPodSandboxes({ 'io.kubernetes.pod.uid': 'other' })).toEqual([]);
      await runtime.stopPodSandbox(id);
      expect((await runtime.podSandboxStatus(id))?.state).toBe('SANDBOX_NOTREADY');
      await runtime.stopPodSandbox(id);
    });

    it('two sandboxes have different addresses, and one on the host’s network has none of its own', async () => {
      const ip = async (config: PodSandboxConfig) =>
        (await runtime.podSandboxStatus(await runtime.runPodSandbox(config, '')))?.network?.ip;
      const first = await ip(sandboxConfig());
      expect(await ip(sandboxConfig())).not.toBe(first);
      const config = sandboxConfig({ hostname: '' });
      config.linux.securityContext.namespaceOptions.network = 'NODE';
      expect((await ip(config)) ?? '').toBe('');
    });

    it('runs a container as it was configured', async () => {
      const script =
        'echo $GREETING; pwd; hostname; cat /etc/resolv.conf; id -G; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status; echo oops >&2; exit 3';
      const { id, sandboxId, log } = await running(script);
      const status = await ended(id);
      expect(status).toMatchObject({
        metadata: { name: 'main', attempt: 2 },
        exitCode: 3,
        reason: 'Error',
        annotations: { 'io.kubernetes.container.hash': 'abc' },
        logPath: log,
      });
      expect(status.startedAt).toBeGreaterThan(status.createdAt - 1e9);
      expect(status.finishedAt).toBeGreaterThanOrEqual(status.startedAt);
      const lines = await until(() => {
        const all = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [];
        return ['oops', 'NoNewPrivs'].every((end) => all.join().includes(end)) ? all : undefined;
      });
      const shape = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (stdout|stderr) F (.*)$/;
      const texts = lines.map((line) => shape.exec(line)?.slice(1) ?? [line]);
      expect(texts).toContainEqual(['stderr', 'oops']);
      const out = texts.filter(([stream]) => stream === 'stdout').map(([, text]) => text);
      expect(out.slice(0, 3)).toEqual(['hello', '/tmp', 'the-host']);
      expect(out.join('\n')).toContain('nameserver 10.9.8.7\n');
      expect(out.find((line) => line?.includes('4242'))).toBeTruthy();
      expect(out.at(-2)).toBe('500');
      expect(out.at(-1)).toBe('NoNewPrivs:\t1');
      const listed = await runtime.listContainers({ 'io.kubernetes.container.name': 'main' });
      expect(listed).toMatchObject([{ id, podSandboxId: sandboxId, state: 'CONTAINER_EXITED' }]);
    });

    it('breaks a very long line into parts, and loses nothing', async () => {
      const { id, log } = await running('head -c 100000 /dev/zero | tr "\\0" x; echo; echo after');
      await ended(id);
      const lines = await until(() => {
        if (!existsSync(log)) return undefined;
        const all = readFileSync(log, 'utf8').trimEnd().split('\n');
        return all.at(-1)?.endsWith('after') ? all : undefined;
      });
      const parts = lines.slice(0, -1).map((line) => line.split(' '));
      expect(parts.length).toBeGreaterThan(1);
      expect(
        parts
          .map(([, , tag]) => tag)
          .slice(0, -1)
          .every((tag) => tag === 'P'),
      ).toBe(true);
      expect(parts.at(-1)?.[2]).toBe('F');
      expect(parts.map(([, , , text]) => text?.length ?? 0).reduce((a, b) => a + b)).toBe(100_000);
    });

    it('a command that does not exist is refused or ends with code 128', async () => {
      const sandbox = sandboxConfig();
      const sandboxId = await runtime.runPodSandbox(sandbox, '');
      const config = containerConfig(sandbox, '', { command: ['/no/such/command'] });
      const id = await runtime.createContainer(sandboxId, config, sandbox);
      await expect(runtime.startContainer(id)).rejects.toThrow(/no such file|not found/);
      expect(await runtime.containerStatus(id)).toMatchObject({
        state: 'CONTAINER_EXITED',
        exitCode: 128,
        reason: 'StartError',
      });
    });

    it('tells of an exit within 300 ms', async () => {
      const stop = new AbortController();
      const heard: { id: string; at: number }[] = [];
      const listening = (async () => {
        for await (const { containerId } of runtime.events(stop.signal)) {
          heard.push({ id: containerId, at: Date.now() });
        }
      })().catch(() => {});
      // The subscription has no answer of its own: it is there when something is heard.
      await until(async () => {
        await ended((await running('true')).id);
        return heard.length > 0;
      });
      const took: number[] = [];
      for (let round = 0; round < 3; round++) {
        const { id } = await running('sleep 0.3');
        const { finishedAt } = await ended(id);
        const exitedAt = finishedAt / 1e6;
        // What is heard of it before that is its start.
        const isExit = (one: (typeof heard)[number]) => one.id === id && one.at > exitedAt - 100;
        took.push((await until(() => heard.find(isExit))).at - exitedAt);
      }
      // A machine may be busy with other things for a while, but not each time.
      expect(Math.min(...took), String(took)).toBeLessThan(300);
      stop.abort();
      await listening;
    });

    it('stops a container by its signal, and kills what does not listen', async () => {
      const polite = await running("trap 'exit 7' TERM; while :; do sleep 0.1; done");
      await runtime.stopContainer(polite.id, 10);
      expect((await ended(polite.id)).exitCode).toBe(7);
      const deaf = await running("trap '' TERM; while :; do sleep 0.1; done");
      const begin = Date.now();
      await runtime.stopContainer(deaf.id, 1);
      expect(Date.now() - begin).toBeLessThan(30_000);
      expect((await ended(deaf.id)).exitCode).toBe(137);
      await runtime.stopContainer(deaf.id, 1);
    });

    it('tells that a container ran out of memory', async () => {
      const { id } = await running('tail /dev/zero');
      expect(await ended(id)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
    });

    it('runs a command inside: output, exit code, time limit', async () => {
      const { id } = await running('sleep 3600');
      const done = await runtime.execSync(id, ['sh', '-c', 'echo out; echo err >&2; exit 5'], 10);
      expect(Buffer.from(done.stdout).toString()).toBe('out\n');
      expect(Buffer.from(done.stderr).toString()).toBe('err\n');
      expect(done.exitCode).toBe(5);
      const late = runtime.execSync(id, ['sleep', '77'], 1);
      await expect(late).rejects.toSatisfy(isRpcDeadline);
      await until(async () => {
        const { stdout } = await runtime.execSync(id, ['ps'], 5);
        return !Buffer.from(stdout).toString().includes('sleep 77');
      });
    });

    it('streams a command: standard input, output and how it ended', async () => {
      const { id } = await running('sleep 3600');
      const flags = { stdin: true, stdout: true, stderr: true, tty: false };
      const url = await runtime.exec({
        ...{ containerId: id, cmd: ['sh', '-c', 'cat; echo end >&2; exit 9'] },
        ...flags,
      });
      const streams = await openExecStreams({ url: new URL(url) }, flags);
      streams.stdin?.end('through\n');
      const [out, err, status] = await Promise.all(
        [streams.stdout, streams.stderr, streams.error].map(textOf),
      );
      expect(out).toBe('through\n');
      expect(err).toBe('end\n');
      expect(JSON.parse(status ?? '')).toMatchObject({
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: '9' }] },
      });
      streams.connection.close();
    });

    it('attaches to what a container prints', async () => {
      const { id } = await running('while :; do echo tick; sleep 0.1; done');
      const flags = { stdin: false, stdout: true, stderr: true, tty: false };
      const url = await runtime.attach({ containerId: id, ...flags });
      const streams = await openExecStreams({ url: new URL(url) }, flags);
      const first = await new Promise((resolve) => streams.stdout?.once('data', resolve));
      expect(String(first)).toMatch(/^(tick\n)+$/);
      streams.connection.close();
    });

    it('forwards a port to what listens on the loopback of a sandbox', async () => {
      const { sandboxId } = await running(
        'mkdir /www; echo forwarded > /www/index.html; httpd -f -p 127.0.0.1:8080 -h /www',
      );
      await until(async () => (await fetchThrough(sandboxId)).includes('forwarded\n'));
    });

    async function fetchThrough(sandboxId: string): Promise<string> {
      const url = await runtime.portForward(sandboxId, [8080]);
      const answer = await dialUpgrade({ url: new URL(url) }, 'POST', {
        connection: 'Upgrade',
        upgrade: 'SPDY/3.1',
        'x-stream-protocol-version': 'portforward.k8s.io',
      });
      if (answer.kind === 'refused') throw new Error(answer.body.toString());
      const connection = new SpdyConnection(answer.socket, { role: 'client', head: answer.head });
      const headers = { port: '8080', requestid: '0' };
      const error = await connection.open({ ...headers, streamtype: 'error' });
      const data = await connection.open({ ...headers, streamtype: 'data' });
      data.write('GET /index.html HTTP/1.0\r\n\r\n');
      const text = await Promise.race([textOf(data), textOf(error).then(() => '')]);
      connection.close();
      return text;
    }

    it('goes on in a new log file when the old one was moved', async () => {
      const { id, log } = await running('while :; do date +%s.%N; sleep 0.05; done');
      await until(() => existsSync(log) && readFileSync(log, 'utf8').length > 0);
      renameSync(log, `${log}.moved`);
      await runtime.reopenContainerLog(id);
      await until(() => existsSync(log) && readFileSync(log, 'utf8').split('\n').length > 5);
      const size = readFileSync(`${log}.moved`).length;
      await sleep(300); // Nothing more may come.
      expect(readFileSync(`${log}.moved`).length).toBe(size);
    });

    it('measures what a container uses', async () => {
      const { id } = await running('head -c 20000000 /dev/zero > /dev/shm/x; while :; do :; done');
      const stats = await until(async () => {
        const [found] = await runtime.listContainerStats({
          'io.kubernetes.container.name': 'main',
        });
        const isWarm = (found?.cpu?.usageCoreNanoSeconds?.value ?? 0) > 1e8;
        return isWarm && (found?.memory?.workingSetBytes?.value ?? 0) > 19e6 ? found : undefined;
      });
      expect(stats.attributes.id).toBe(id);
      expect((await runtime.containerStats(id))?.attributes.metadata.name).toBe('main');
      expect(await runtime.imageFsInfo()).toMatchObject([
        { usedBytes: { value: expect.any(Number) } },
      ]);
    });

    it('changes the limits of a running container', async () => {
      const { id } = await running('sleep 3600');
      await runtime.updateContainerResources(id, {
        memoryLimitInBytes: 99 * 2 ** 20,
        cpuShares: 200,
      });
      const files =
        'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true';
      const { stdout } = await runtime.execSync(id, ['sh', '-c', files], 5);
      expect(Buffer.from(stdout).toString().trim()).toBe(String(99 * 2 ** 20));
    });

    it('knows its images', async () => {
      const found = await runtime.imageStatus({ image: engine.image });
      expect(found?.repoTags).toContain(engine.image);
      expect((await runtime.listImages()).map((i) => i.id)).toContain(found?.id);
      expect(await runtime.imageStatus({ image: 'localhost/no/such:1' })).toBeUndefined();
      await expect(
        runtime.pullImage({ image: '127.0.0.1:1/no/such:1' }, undefined),
      ).rejects.toThrow();
    });

    it('is not disturbed by ids that it does not know', async () => {
      const id = 'f'.repeat(64);
      await runtime.stopContainer(id, 1);
      await runtime.removeContainer(id);
      await runtime.stopPodSandbox(id);
      await runtime.removePodSandbox(id);
      expect(await runtime.containerStatus(id)).toBeUndefined();
      expect(await runtime.podSandboxStatus(id)).toBeUndefined();
      expect(await runtime.containerStats(id)).toBeUndefined();
    });
  });
}

async function textOf(stream: NodeJS.ReadableStream | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
