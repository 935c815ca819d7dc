import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ClusterFacts, judgeControls } from './cis.ts';
import { kubeletConfig } from './component-flags.ts';
import { processSpecs } from './components.ts';
import { pathsUnder } from './paths.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const paths = pathsUnder('/');
const settings = { ...DEFAULT_SETTINGS, nodeName: 'n', nodeIp: '10.0.0.1' };

/** A cluster as `k8ts up` starts it, on a machine whose files have the modes that are asked for, or `mode`. */
function facts(mode?: number): ClusterFacts {
  const specs = processSpecs(paths, settings, { program: 'node', args: [] });
  const flags = new Map(
    specs.map(({ name, args }) => [
      name,
      new Map(
        args
          .map((arg) => /^--([^=]+)=(.*)$/.exec(arg))
          .flatMap((found) => (found ? [[found[1] ?? '', found[2] ?? ''] as const] : [])),
      ),
    ]),
  );
  const kubelet = JSON.parse(kubeletConfig(paths, settings, { joined: false }));
  return { flags, kubelet, file: (name) => ({ mode: mode ?? modeOf(name), uid: 0 }) };
}

/** What `k8ts up` gives its files; a test of a whole cluster sees that it does. */
function modeOf(name: string): number {
  if (name.endsWith('.crt')) return 0o644;
  return name === 'store' || name === 'pki' ? 0o700 : 0o600;
}

describe('judgeControls', () => {
  const found = judgeControls(facts());
  const verdict = (id: string) => found.find((one) => one.id === id)?.verdict;

  it('has a verdict and a reason for every control', () => {
    expect(found.length).toBeGreaterThan(120);
    for (const { verdict: word, reason } of found) {
      expect(['pass', 'fail', 'n/a', 'look']).toContain(word);
      expect(reason).not.toBe('');
    }
  });

  it('reads command lines, configuration and files', () => {
    expect(verdict('1.2.14')).toBe('pass');
    expect(verdict('1.2.27')).toBe('pass');
    expect(verdict('4.2.1')).toBe('pass');
    expect(verdict('1.1.13')).toBe('pass');
    const open = judgeControls(facts(0o666));
    expect(open.find(({ id }) => id === '1.1.13')).toMatchObject({
      verdict: 'fail',
      reason: 'admin.conf has 666, may have 600',
    });
  });

  it('is what docs/security.md tells', () => {
    const text = readFileSync(resolve(import.meta.dirname, '../../docs/security.md'), 'utf8');
    const rows = text.split('\n').flatMap((line) => {
      const cells = line.split(' | ').map((cell) => cell.replace(/^\| | *\|$/g, '').trim());
      return /^\d/.test(cells[0] ?? '') ? [cells] : [];
    });
    const words = { pass: 'pass', fail: 'FAIL', 'n/a': 'n/a', look: 'manual' };
    expect(rows).toEqual(found.map((one) => [one.id, one.subject, words[one.verdict], one.reason]));
  });
});
