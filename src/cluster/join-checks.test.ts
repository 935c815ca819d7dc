import { once } from 'node:events';
import { createServer } from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { createAuthority } from '../pki/ca.ts';
import { assertClocksAgree, assertOwnAddress, clockProblem, sourceIn } from './join-checks.ts';

describe('clockProblem', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  it('says by how much clocks differ, and in which direction', () => {
    expect(clockProblem('https://a:6443', now, now - 3_600_000)).toMatch(
      /3600 s behind that of https:\/\/a:6443.*timedatectl/,
    );
    expect(clockProblem('https://a:6443', now, now + 60_000)).toMatch(/60 s ahead of/);
  });
  it('minds neither a little nor a server that says no time', () => {
    expect(clockProblem('https://a:6443', now, now + 10_000)).toBeUndefined();
    expect(clockProblem('https://a:6443', Number.NaN, now)).toBeUndefined();
  });
});

describe('assertClocksAgree', () => {
  const stop = new AbortController();
  afterEach(() => stop.abort());

  /** A server whose clock is off by so much. */
  async function serverAhead(ms: number): Promise<string> {
    const { certificate, key } = await createAuthority('somebody', Date.now());
    const server = createServer({ cert: certificate, key }, (_, res) => {
      res.setHeader('date', new Date(Date.now() + ms).toUTCString()).end();
    });
    stop.signal.addEventListener('abort', () => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  it('asks the server for the time, before anything else is believed of it', async () => {
    await assertClocksAgree(await serverAhead(0));
    const server = await serverAhead(3_600_000);
    await expect(assertClocksAgree(server)).rejects.toThrow(/3[56]\d\d s behind that of/);
  });
});

describe('sourceIn', () => {
  it('reads where the way to a server begins', () => {
    const text = '192.168.56.10 dev eth1 src 192.168.56.11 uid 0 \n    cache \n';
    expect(sourceIn(text)).toBe('192.168.56.11');
    expect(sourceIn('RTNETLINK answers: Network is unreachable\n')).toBeUndefined();
  });
});

describe('assertOwnAddress', () => {
  it('refuses an address that no interface has', () => {
    expect(() => assertOwnAddress('192.0.2.1', ['10.0.2.15'])).toThrow(
      /192.0.2.1; it has 10.0.2.15/,
    );
    assertOwnAddress('10.0.2.15', ['10.0.2.15']);
  });
});
