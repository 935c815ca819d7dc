import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CommandError, isMissingProgram, programStream, run, start } from './exec.ts';

describe('run', () => {
  it('passes standard input and answers standard output as it was printed', async () => {
    const result = await run('cat', [], { input: 'a\nb\n' });
    expect(result).toEqual({ stdout: 'a\nb\n', stderr: '', exitCode: 0 });
  });

  it('rejects an exit code that is not accepted, with the last words of the program', async () => {
    const failing = run('sh', ['-c', 'echo no >&2; exit 3']);
    await expect(failing).rejects.toThrow(/exit code 3: no$/);
    await expect(failing).rejects.toMatchObject({ exitCode: 3, stderr: 'no\n', missing: false });
  });

  it('answers an exit code that is accepted', async () => {
    const result = await run('sh', ['-c', 'exit 1'], { acceptExitCodes: [0, 1] });
    expect(result.exitCode).toBe(1);
  });

  it('tells a missing program from a failing one', async () => {
    const err = await run('no-such-program', []).catch((e: unknown) => e);
    expect(err).toBeInstanceOf(CommandError);
    expect(isMissingProgram(err)).toBe(true);
  });

  it('kills the program and rejects when its time is over', async () => {
    await expect(run('sleep', ['60'], { timeoutMs: 50 })).rejects.toThrow(/timed out/);
  });

  it('kills the program and rejects when the signal aborts', async () => {
    const controller = new AbortController();
    const sleeping = run('sleep', ['60'], {}, controller.signal);
    controller.abort();
    await expect(sleeping).rejects.toThrow(/aborted/);
  });
});

describe('start', () => {
  it('answers the pid at once and how it ended later', async () => {
    const child = start('sleep', ['60']);
    expect(child.pid).toBeGreaterThan(1);
    child.kill('SIGKILL');
    await expect(child.ended).resolves.toMatchObject({ signal: 'SIGKILL' });
  });

  it('appends what the program prints to the log file', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'exec-'));
    const logFile = join(directory, 'log');
    await start('sh', ['-c', 'echo one; echo two >&2'], { logFile }).ended;
    await start('echo', ['three'], { logFile }).ended;
    expect(readFileSync(logFile, 'utf8')).toBe('one\ntwo\nthree\n');
    rmSync(directory, { recursive: true });
  });

  it('throws when the program cannot be started', () => {
    expect(() => start('no-such-program', [])).toThrow(CommandError);
  });
});

describe('programStream', () => {
  it('ends with its program when the signal aborts, though that neither reads nor writes', async () => {
    const stop = new AbortController();
    const stream = programStream('sleep', ['3600'], stop.signal);
    const read = Array.fromAsync(stream);
    stop.abort();
    const [ended] = await Promise.allSettled([read]);
    expect(ended.status === 'rejected' || ended.value.length === 0).toBe(true);
  });
});
