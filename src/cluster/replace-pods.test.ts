import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import { parseYaml } from '../api/yaml.ts';
import { FakeClient } from '../client/client.fake.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { SECRET_MODE, writeWhole } from './files.ts';
import { type Paths, pathsUnder } from './paths.ts';
import { replaceStaticPods } from './replace-pods.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import { staticPodFile, staticPodManifests } from './static-pods.ts';

const settings = {
  ...DEFAULT_SETTINGS,
  ...{ nodeName: 'node-1', nodeIp: '192.0.2.1', staticPods: true, store: 'stacked' as const },
};

let paths: Paths;
let clock: FakeClock;
let client: FakeClient;
let told: string[];
beforeEach(() => {
  paths = pathsUnder(mkdtempSync(join(tmpdir(), 'k8ts-replace-')));
  clock = new FakeClock();
  client = new FakeClient();
  told = [];
});
afterEach(() => rmSync(paths.root, { recursive: true }));

/** The manifest of a component as an earlier version has written it. */
async function earlier(name: string): Promise<string> {
  const manifest = staticPodManifests(paths, settings).find((one) => one.name === name);
  const text = `# of an earlier version\n${await manifest?.text({})}`;
  writeWhole(staticPodFile(paths, name), text, SECRET_MODE);
  return text;
}

const replace = () =>
  replaceStaticPods(paths, settings, { client, clock, progress: (line) => void told.push(line) });

it('gives a component its old manifest back whose new one does not become ready, and replaces no other', async () => {
  const [first = '', second = ''] = staticPodManifests(paths, settings).map(({ name }) => name);
  const texts = [await earlier(first), await earlier(second)];
  const file = staticPodFile(paths, first);
  const replacing = replace();
  const failed = expect(replacing).rejects.toThrow(
    `${first} of the installed version did not become ready (not within 300 s); ${file} is as it was`,
  );
  await expect.poll(() => readFileSync(file, 'utf8')).not.toBe(texts[0]);
  // Its Pod is there, but never ready.
  const { metadata, spec } = (await parseYaml(readFileSync(file, 'utf8'))) as Pod;
  const name = `${first}-node-1`;
  await client.create(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    spec,
    metadata: { ...metadata, name },
  });
  await clock.advance(300_000);
  await failed;
  expect(readFileSync(file, 'utf8')).toBe(texts[0]);
  expect(readFileSync(staticPodFile(paths, second), 'utf8')).toBe(texts[1]);
  expect(told).toEqual([]);
});
