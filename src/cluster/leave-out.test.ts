import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { realClock } from '../util/clock.ts';
import { readIfExists } from './files.ts';
import { endProxy } from './leave-out.ts';
import { type Paths, pathsUnder } from './paths.ts';
import { saveSettings } from './prepare.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

let paths: Paths;
beforeEach(() => {
  paths = pathsUnder(mkdtempSync(join(tmpdir(), 'k8ts-leave-out-')));
});
afterEach(() => rmSync(paths.root, { recursive: true }));

/** With which words k8ts was called, at a start with these parts left out. */
async function called(disabled: readonly string[]): Promise<string | undefined> {
  const file = join(paths.root, 'called');
  rmSync(file, { force: true });
  const self = { program: 'sh', args: ['-c', 'echo "$@" >"$0"', file] };
  await endProxy(paths, { disabled }, { clock: realClock, self, progress: () => {} });
  return readIfExists(file);
}
const startedBefore = (...disabled: string[]) =>
  saveSettings(paths, { ...DEFAULT_SETTINGS, nodeName: 'a', nodeIp: '192.0.2.1', disabled });

it('cleans up after a proxy that is left out from now on', async () => {
  startedBefore('dns');
  expect(await called(['dns', 'kube-proxy'])).toBe('proxy --cleanup\n');
});

it('touches no rules where the node has had no proxy, or keeps it', async () => {
  expect(await called(['kube-proxy'])).toBeUndefined();
  startedBefore('kube-proxy');
  expect(await called(['kube-proxy'])).toBeUndefined();
  startedBefore();
  expect(await called(['dns'])).toBeUndefined();
});
