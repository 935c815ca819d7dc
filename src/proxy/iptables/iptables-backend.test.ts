import { describe, expect, it } from 'vitest';
import type { Iptables } from '../../host/iptables.ts';
import { createLogger } from '../../util/log.ts';
import { servicePort } from '../service-port.fake.ts';
import { IptablesBackend } from './iptables-backend.ts';
import type { RulesetOptions } from './ruleset.ts';

const { signal } = new AbortController();
const OPTIONS: RulesetOptions = {
  family: 4,
  mark: '0x4000',
  masqueradeAll: false,
  localTraffic: { by: 'none' },
  nodeIP: undefined,
  randomFully: true,
  localhostNodePorts: false,
  nodePortIPs: undefined,
  tcpLiberal: false,
};

async function fullSync(count: number, { nfTables = true, saved = '' } = {}): Promise<string[]> {
  const inputs: string[] = [];
  const iptables: Iptables = {
    randomFully: true,
    nfTables,
    save: () => Promise.resolve(saved),
    restore: (input) => {
      inputs.push(input);
      return Promise.resolve();
    },
    chainExists: () => Promise.resolve(true),
  };
  const services = Array.from({ length: count }, (_, i) =>
    servicePort({ service: `s${i}`, clusterIP: `10.96.1.${i}`, endpoints: ['10.244.0.1:80'] }),
  );
  const backend = new IptablesBackend({ iptables, log: createLogger('test', 0) }, () => OPTIONS);
  const state = { family: 4 as const, services: new Map(services.map((s) => [s.id, s])) };
  await backend.sync(state, { full: true }, signal);
  return inputs;
}

const chainsOf = (input: string) => [...input.matchAll(/^:(\S+)/gm)].map(([, chain]) => chain);

describe('IptablesBackend', () => {
  it('writes few services at once', async () => {
    expect(await fullSync(3)).toHaveLength(1);
  });

  it('writes many in parts over nf_tables: services before the rules that lead to them', async () => {
    const inputs = await fullSync(120);
    expect(inputs).toHaveLength(1 + 3 + 1);
    expect(chainsOf(inputs[0] ?? '')).toEqual(['KUBE-MARK-MASQ']);
    expect(chainsOf(inputs[1] ?? '').every((chain) => /KUBE-(SVC|SEP)-/.test(chain ?? ''))).toBe(
      true,
    );
    expect(inputs[4]).toContain('-A KUBE-SERVICES');
    expect(inputs.flatMap(chainsOf).filter((chain) => chain?.includes('SVC'))).toHaveLength(120);
  });

  it('writes all at once with the legacy variant, which replaces whole tables', async () => {
    expect(await fullSync(120, { nfTables: false })).toHaveLength(1);
  });

  it('removes what is left over of other services last', async () => {
    const saved = '*nat\n:KUBE-SVC-OLD - [0:0]\nCOMMIT\n';
    const inputs = await fullSync(120, { saved });
    expect(inputs.map((input) => input.includes('-X KUBE-SVC-OLD'))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
  });
});
