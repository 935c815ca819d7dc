import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { commandLineOf, identifyProcess, isAlive, listProcesses } from './processes.ts';

describe('identifyProcess', () => {
  it('tells one process from another that has its number', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const identity = identifyProcess(child.pid ?? 0);
    if (!identity) throw new Error('the process is not found');
    expect(isAlive(identity)).toBe(true);
    expect(isAlive({ ...identity, started: 'another-boot-1' })).toBe(false);
    expect(commandLineOf(identity.pid)).toEqual(['sleep', '60']);
    expect(listProcesses()).toContain(identity.pid);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(identity)).toBe(false);
    expect(commandLineOf(identity.pid)).toEqual([]);
  });
});
