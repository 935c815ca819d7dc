import { describe, expect, it } from 'vitest';
import { type ClusterFacts, judgeControls } from './cis.ts';
import { kubeletConfig, processSpecs } from './components.ts';
import { pathsUnder } from './paths.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const paths = pathsUnder('/tmp/x');
const settings = { ...DEFAULT_SETTINGS, nodeName: 'n', nodeIp: '10.0.0.1' };

/** A cluster as `k8ts up` starts it, on a machine where all files are as they should be. */
function facts(mode: number): ClusterFacts {
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
  return { flags, kubelet, file: () => ({ mode, uid: 0 }) };
}

describe('judgeControls', () => {
  const found = judgeControls(facts(0o600));
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
});
