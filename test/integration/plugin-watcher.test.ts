import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Plugin, PluginWatcher } from '../../src/kubelet/csi/plugin-watcher.ts';
import { realClock } from '../../src/util/clock.ts';
import { createLogger } from '../../src/util/log.ts';
import { eventually } from '../support/eventually.ts';
import { rpcService, serveRpc } from '../support/rpc-server.ts';

let directory = '';
let stop = new AbortController();
let running: Promise<void> = Promise.resolve();
const told: string[] = [];
let refuse = false;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'k8ts-plugins-')), 'plugins_registry');
  mkdirSync(directory);
  stop = new AbortController();
  told.length = 0;
  refuse = false;
  const watcher = new PluginWatcher({
    clock: realClock,
    log: createLogger('test', 0),
    directory,
    async onAdd({ name }: Plugin) {
      if (refuse) throw new Error('not now');
      told.push(`add ${name}`);
    },
    async onRemove({ name }: Plugin) {
      told.push(`remove ${name}`);
    },
  });
  running = watcher.run(stop.signal);
});
afterEach(async () => {
  stop.abort();
  await running;
  rmSync(join(directory, '..'), { recursive: true, force: true });
});

/** A plugin's registration socket, and what the kubelet says to it. */
async function plugin(name: string) {
  const answers: { pluginRegistered: boolean; error: string }[] = [];
  const socket = join(directory, `${name}.sock`);
  const registrar = rpcService(
    'plugin-registration.proto',
    'pluginregistration.Registration',
    { calls: [], failures: new Map() },
    {
      GetInfo: () => ({ type: 'CSIPlugin', name, endpoint: '/x.sock', supportedVersions: ['1'] }),
      NotifyRegistrationStatus: (status) => void answers.push(status),
    },
  );
  const server = await serveRpc(socket, registrar);
  const end = (): void => {
    server.forceShutdown();
    rmSync(socket, { force: true });
  };
  return { answers, end };
}

describe('PluginWatcher', () => {
  it('registers a plugin although another one hangs', async () => {
    const held = new Set<Socket>();
    const hanging = createServer((socket) => {
      socket.on('error', () => {});
      held.add(socket);
    });
    await new Promise<void>((done) => hanging.listen(join(directory, 'hangs.sock'), done));
    const good = await plugin('good');
    await eventually('it is registered', () => told.includes('add good'));
    good.end();
    for (const socket of held) socket.destroy();
    hanging.close();
  });

  it('registers a plugin again that was started again', async () => {
    const first = await plugin('twice');
    await eventually('it is registered', () => told.length === 1);
    first.end();
    const second = await plugin('twice');
    await eventually('it is registered again', () => told.length === 3);
    expect(told).toEqual(['add twice', 'remove twice', 'add twice']);
    second.end();
    await eventually('it is gone', () => told.length === 4);
  });

  it('tells a plugin why it is not taken, and tries again', async () => {
    refuse = true;
    const late = await plugin('late');
    await eventually('it is told', () => late.answers.length > 0);
    expect(late.answers[0]).toEqual({ pluginRegistered: false, error: 'not now' });
    refuse = false;
    await eventually('it is taken', () => told.includes('add late'));
    late.end();
  });
});
