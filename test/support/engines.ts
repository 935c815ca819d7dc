import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { CNI_FILE, cniConflist } from '../../src/cluster/cni.ts';
import { CNI_BIN, containerdConfig, ownCni, PAUSE_IMAGE } from '../../src/cluster/containerd.ts';
import { type Paths, pathsUnder } from '../../src/cluster/paths.ts';
import { createCgroups } from '../../src/host/cgroups.ts';
import { run } from '../../src/host/exec.ts';
import { openRuntime } from '../../src/kubelet/open-runtime.ts';
import type { EngineUnderTest } from '../../src/kubelet/runtime/runtime.contract.ts';
import type { ContainerRuntime } from '../../src/kubelet/runtime/runtime.ts';
import { eventually } from './eventually.ts';
import { BUSYBOX_IMAGE } from './manifests.ts';
import { createNetworkNamespace, type NetworkNamespace } from './network-namespace.ts';

const IMAGES = resolve(import.meta.dirname, '../../node_modules/.cache/images');
const RANGE = '10.99.0.0/24';

/**
 * What every engine of a test gets: a directory, a CNI network in a namespace of its own, a control group. The engine's own
 * sockets are on this machine's loopback, where the test reaches them.
 */
interface Place {
  readonly paths: Paths;
  readonly network: NetworkNamespace;
  readonly cgroupParent: string;
}

/** How a kubelet is told to use the engine. */
export interface EngineFlags {
  readonly flags: readonly string[];
}

/** containerd alone, below a directory and in a network of its own. */
export async function startContainerd(): Promise<EngineUnderTest & EngineFlags> {
  const place = await makePlace();
  const { paths } = place;
  const { socket, config } = paths.containerd;
  for (const path of [dirname(config), dirname(socket)]) mkdirSync(path, { recursive: true });
  writeFileSync(
    config,
    containerdConfig(paths, { systemdCgroup: false, cni: ownCni(paths) }).replace(
      CNI_BIN,
      pluginDir(paths),
    ),
  );
  const daemon = startDaemon(place, ['containerd', '--config', config]);
  const load = async (archive: string): Promise<void> => {
    const args = ['--address', socket, '--namespace', 'k8s.io', 'images', 'import', archive];
    await run('ctr', args);
  };
  return underTest(place, daemon, { endpoint: `unix://${socket}`, load });
}

/** Docker Engine alone, in the same way. */
export async function startDocker(): Promise<EngineUnderTest & EngineFlags> {
  const place = await makePlace();
  const { paths } = place;
  const at = (name: string): string => join(paths.root, 'docker', name);
  mkdirSync(at(''), { recursive: true });
  const socket = at('docker.sock');
  const daemon = startDaemon(place, [
    ...['dockerd', '--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid')],
    ...['--host', `unix://${socket}`, '--bridge', 'none', '--iptables=false', '--ip6tables=false'],
    ...['--oom-score-adjust', '0'],
  ]);
  const load = async (archive: string): Promise<void> => {
    await run('docker', ['--host', `unix://${socket}`, 'load', '--input', archive]);
  };
  return underTest(place, daemon, { endpoint: `docker://${socket}`, load });
}

const pluginDir = (paths: Paths): string => join(paths.root, 'cni-plugins');

async function makePlace(): Promise<Place> {
  const root = mkdtempSync(join(tmpdir(), 'k8ts-engine-'));
  const paths = pathsUnder(root);
  const network = await createNetworkNamespace();
  mkdirSync(paths.cni.config, { recursive: true });
  writeFileSync(join(paths.cni.config, CNI_FILE), cniConflist(paths, RANGE));
  mkdirSync(pluginDir(paths));
  for (const plugin of readdirSync(CNI_BIN)) {
    const script = `#!/bin/sh\nexec ${[...network.enter, join(CNI_BIN, plugin)].join(' ')} "$@"\n`;
    writeFileSync(join(pluginDir(paths), plugin), script, { mode: 0o755 });
  }
  const id = createHash('sha256').update(root).digest('hex').slice(0, 8);
  return { paths, network, cgroupParent: `/k8ts-engine-${id}` };
}

function startDaemon({ paths }: Place, command: readonly string[]): ChildProcess {
  const log = openSync(join(paths.root, 'engine.log'), 'a');
  const [program = '', ...args] = command;
  return spawn(program, args, { stdio: ['ignore', log, log] });
}

async function underTest(
  { paths, network, cgroupParent }: Place,
  daemon: ChildProcess,
  { endpoint, load }: { endpoint: string; load: (archive: string) => Promise<void> },
): Promise<EngineUnderTest & EngineFlags> {
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  let runtime: ContainerRuntime | undefined;
  const stop = async (): Promise<void> => {
    runtime?.close();
    daemon.kill('SIGTERM');
    await ended;
    const groups = createCgroups();
    await eventually('the control group is empty', () =>
      groups.remove(cgroupParent).then(() => true),
    );
    await network.remove();
    await unmountBelow(paths.root);
    rmSync(paths.root, { recursive: true, force: true });
  };
  try {
    runtime = await openRuntime(endpoint, {
      configDir: paths.cni.config,
      binDir: pluginDir(paths),
      stateDir: join(paths.root, 'cni-state'),
      pauseImage: PAUSE_IMAGE,
    });
    const answers = runtime;
    await eventually('the engine answers', () => answers.version());
    for (const name of ['pause', 'busybox']) await load(join(IMAGES, `${name}.tar`));
    const flags = [
      `--container-runtime-endpoint=${endpoint}`,
      `--cni-conf-dir=${paths.cni.config}`,
      `--cni-bin-dir=${pluginDir(paths)}`,
      `--pod-infra-container-image=${PAUSE_IMAGE}`,
    ];
    return { runtime, image: BUSYBOX_IMAGE, cgroupParent, flags, stop };
  } catch (err) {
    const log = readFileSync(join(paths.root, 'engine.log'), 'utf8').slice(-2000);
    await stop();
    throw new Error(`The engine did not start:\n${log}`, { cause: err });
  }
}

async function unmountBelow(root: string): Promise<void> {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${root}/`));
  for (const path of points.reverse()) await run('umount', ['--lazy', path]);
}
