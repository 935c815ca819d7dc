import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  assertAsChosen,
  assertAsJoined,
  type Choices,
  chosenNow,
  newChoices,
  type Said,
} from './choices.ts';
import { pathsUnder } from './paths.ts';
import { settingsFile, settingsFor } from './prepare.ts';

const first = (said: Said) => chosenNow(said, undefined);

describe('chosenNow', () => {
  it('remembers everything that was chosen once', () => {
    const said: Said = {
      ...{ nodeName: 'a', nodeIp: '192.0.2.1', nodes: 2, port: 7443, verbosity: 4 },
      network: 'vxlan',
      endpoint: 'lb:6443',
      staticPods: true,
      store: 'stacked',
      ...{ extraNames: ['api'], disabled: ['metrics-server'], auditPolicyFile: '/a.yaml' },
    };
    expect(first(said)).toEqual(said);
    expect(chosenNow({}, first(said))).toEqual(said);
  });

  it.each<[string, Said, Choices]>([
    ['another value', { port: 8443 }, { port: 8443 }],
    ['another list', { disabled: ['kube-proxy'] }, { disabled: ['kube-proxy'] }],
    ['no list any more', { disabled: ['none'] }, { disabled: [] }],
    ['no names any more', { extraNames: ['none'] }, { extraNames: [] }],
    ['no policy any more', { auditPolicyFile: 'none' }, { auditPolicyFile: undefined }],
    ['no DNS besides', { dns: false }, { disabled: ['metrics-server', 'dns'] }],
    ['DNS', { dns: true }, { disabled: ['metrics-server'] }],
  ])('takes %s', (_what, said, wanted) => {
    const before = first({
      ...{ port: 7443, extraNames: ['api'], auditPolicyFile: '/a.yaml' },
      disabled: ['metrics-server'],
    });
    expect(chosenNow(said, before)).toMatchObject(wanted);
  });

  it('takes DNS back that was left out', () => {
    expect(chosenNow({ dns: true }, first({ dns: false })).disabled).toEqual([]);
  });

  it('gives static Pods an etcd, and others the store inside', () => {
    expect(first({ staticPods: true }).store).toBe('stacked');
    expect(first({}).store).toBe('lmdb');
  });

  it.each<[string, Said]>([
    ['the store of this cluster is lmdb', { store: 'stacked' }],
    ['is not HOST:PORT', { endpoint: 'lb' }],
    ['--nodes must be 1 or more', { nodes: 0 }],
    ['--static-pods needs an etcd', { staticPods: true }],
  ])('refuses: %s', (message, said) => {
    expect(() => chosenNow(said, first({}))).toThrow(new RegExp(message, 'i'));
  });
});

describe('newChoices', () => {
  const before = first({ disabled: ['dns', 'metrics-server'], verbosity: 2 });

  it.each<[string, Said, string[]]>([
    ['nothing is said', {}, []],
    ['the same is said', { verbosity: 2, disabled: ['dns', 'metrics-server'] }, []],
    ['the same is said in another way', { dns: false }, []],
    ['another value is', { verbosity: 4 }, ['verbosity']],
    ['a list is taken back', { disabled: ['none'] }, ['disabled']],
    ['something new is', { port: 7443, extraNames: ['api'] }, ['port', 'extraNames']],
  ])('names what is new when %s', (_when, said, news) => {
    expect(newChoices(chosenNow(said, before), before).sort()).toEqual(news.sort());
  });

  it('takes what was never chosen for an empty list', () => {
    expect(newChoices(first({}), { store: 'lmdb' })).toEqual([]);
  });
});

describe('assertAsChosen', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'k8ts-choices-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** A start with `said` beside a cluster that runs and for which nothing was chosen. */
  const startWith = (said: Said) => {
    const paths = pathsUnder(root);
    const machine = { nodeName: 'a', nodeIp: '192.0.2.1' };
    const chosen = first({});
    mkdirSync(paths.config, { recursive: true });
    writeFileSync(settingsFile(paths), JSON.stringify({ ...settingsFor(machine), chosen }));
    assertAsChosen(paths, { ...settingsFor(machine), chosen: chosenNow(said, chosen) });
  };

  it('lets what is so by default be asked for', () => {
    startWith({ port: 6443, nodeIp: '192.0.2.1', nodes: 1 });
  });

  it('names what would be new', () => {
    expect(() => startWith({ port: 7443 })).toThrow('other choices (port): k8ts down stops it');
  });
});

describe('assertAsJoined', () => {
  const settings = settingsFor({ nodeName: 'b', nodeIp: '192.0.2.2', store: 'stacked' });

  it('lets be said what is so', () => {
    for (const said of [{}, { nodeName: 'b', verbosity: 4 }, { dns: true, port: settings.port }]) {
      expect(() => assertAsJoined(said, settings)).not.toThrow();
    }
  });

  it('names what would count for nothing', () => {
    const said: Said = { dns: false, port: 7443, nodeIp: '192.0.2.2' };
    expect(() => assertAsJoined(said, settings)).toThrow('other choices (port, disabled)');
  });
});
