import { describe, expect, it } from 'vitest';
import { upOptions } from './upgrade.ts';

describe('upOptions', () => {
  it('reads what a supervisor was started with, from its title or its words', () => {
    expect(upOptions(['k8ts up --root /tmp/x --nodes 2'])).toEqual([
      '--root',
      '/tmp/x',
      '--nodes',
      '2',
    ]);
    expect(upOptions(['node', 'cli.ts', 'up', '--detach', '--root', '/'])).toEqual(['--root', '/']);
  });
});
