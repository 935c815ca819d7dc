import { describe, expect, it } from 'vitest';
import { parseDefaultRoute } from './links.ts';

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';

describe('parseDefaultRoute', () => {
  it('chooses the default route with the lowest metric', () => {
    const table = [
      HEAD,
      'eth1\t00000000\t0102A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0',
      'eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0',
      'eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    ].join('\n');
    expect(parseDefaultRoute(table)).toBe('eth0');
  });

  it('answers undefined where no default route is up', () => {
    const down = 'eth0\t00000000\t0101A8C0\t0002\t0\t0\t100\t00000000\t0\t0\t0';
    expect(parseDefaultRoute(`${HEAD}\n${down}\n`)).toBeUndefined();
  });
});
