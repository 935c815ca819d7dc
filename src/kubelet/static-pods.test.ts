import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realClock } from '../util/clock.ts';
import { silent } from '../util/log.ts';
import { StaticPods } from './static-pods.ts';

const manifest = (name: string, image: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'c', image }] },
  });

let directory: string;
let told: string[];
let here: Set<string>;
let pods: StaticPods;
const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'static-'));
  told = [];
  here = new Set();
  pods = new StaticPods({
    recheckMs: 20_000,
    directory,
    nodeName: 'n',
    clock: realClock,
    log: silent,
    onPod: (pod) => {
      here.add(pod.metadata.uid);
      told.push(`+ ${pod.metadata.name} ${pod.spec?.containers[0]?.image}`);
    },
    onGone: (pod) => told.push(`- ${pod.metadata.name} ${pod.spec?.containers[0]?.image}`),
    isHere: (uid) => here.has(uid),
  });
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('StaticPods', () => {
  it('starts the next version of a pod only when the one before has left', async () => {
    write('a.json', manifest('a', 'one'));
    await pods.look();
    write('a.json', manifest('a', 'second'));
    await pods.look();
    expect(told).toEqual(['+ a-n one', '- a-n one']);
    here.clear();
    await pods.look();
    expect(told.at(-1)).toBe('+ a-n second');
  });

  it('keeps what ran while its file cannot be read as a pod, and the others go on', async () => {
    write('a.json', manifest('a', 'one'));
    await pods.look();
    write('a.json', '{"apiVersion": "v1", ');
    write('b.json', manifest('b', 'one'));
    write('.hidden', manifest('c', 'one'));
    await pods.look();
    expect(told).toEqual(['+ a-n one', '+ b-n one']);
    rmSync(join(directory, 'a.json'));
    await pods.look();
    expect(told.at(-1)).toBe('- a-n one');
    expect(pods.list().map((p) => p.metadata.name)).toEqual(['b-n']);
  });

  it('sees a change of the directory at once', async () => {
    const stop = new AbortController();
    const running = pods.run(stop.signal);
    write('a.json', manifest('a', 'one'));
    await expect.poll(() => told, { timeout: 30_000 }).toEqual(['+ a-n one']);
    stop.abort();
    await running;
  });
});
