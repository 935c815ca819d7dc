import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { drive, FakeClock } from '../../util/clock.fake.ts';
import { silent } from '../../util/log.ts';
import { ConfiguredAuthentication } from './configured.ts';

/** Nothing listens on this port. */
const unreachable = {
  issuer: { url: 'https://127.0.0.1:1', audiences: ['x'] },
  claimMappings: { username: { claim: 'sub', prefix: '' } },
};

describe('ConfiguredAuthentication', () => {
  it('waits for the issuers of a new configuration, and keeps the old one without them', async () => {
    const clock = new FakeClock();
    const anonymous = { enabled: true, paths: ['/livez'] };
    const configured = new ConfiguredAuthentication({ anonymous }, { clock, log: silent });
    const before = clock.now();
    const stop = drive(clock, 10_000);
    const replaced = configured.replace({ jwt: [unreachable] });
    await expect(replaced).rejects.toThrow('ECONNREFUSED');
    await stop();
    expect(clock.now() - before).toBeGreaterThanOrEqual(50_000);
    const stranger = { headers: {}, url: '/readyz' } as IncomingMessage;
    expect(() => configured.gate.authenticate(stranger)).toThrow('Unauthorized');
  });

  it('lets strangers in as the newest configuration says', async () => {
    const deps = { clock: new FakeClock(), log: silent };
    const configured = new ConfiguredAuthentication({}, deps);
    const stranger = { headers: {}, url: '/readyz' } as IncomingMessage;
    expect(configured.gate.authenticate(stranger)).toBeUndefined();
    await configured.replace({ anonymous: { enabled: false, paths: [] } });
    expect(() => configured.gate.authenticate(stranger)).toThrow('Unauthorized');
  });
});
