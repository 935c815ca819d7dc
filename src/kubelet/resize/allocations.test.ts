import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Container, Pod } from '../../api/types.ts';
import { podDirs } from '../pod-dirs.ts';
import { podWith } from '../pods.fake.ts';
import { Allocations } from './allocations.ts';
import { resizeRefusal } from './resize-decision.ts';

const cpu = (text: string): Container['resources'] => ({ requests: { cpu: text } });
const podOf = (text: string, fields: Partial<Container> = {}): Pod =>
  podWith({ containers: [{ name: 'main', resources: cpu(text), ...fields }] });
const cpuOf = (pod: Pod | undefined): string | undefined =>
  pod?.spec?.containers[0]?.resources?.requests?.cpu;
const mainOf = (pod: Pod): Container => pod.spec?.containers[0] as Container;

describe('Allocations', () => {
  let root = '';
  const open = (): Allocations => new Allocations({ dirs: podDirs(root, join(root, 'logs')) });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'allocations-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('shows a pod with what it was granted until a wish is granted', () => {
    const allocations = open();
    expect(cpuOf(allocations.view(podOf('1')))).toBe('1');
    expect(cpuOf(allocations.view(podOf('2')))).toBe('1');
    expect(cpuOf(allocations.wanted('uid-1'))).toBe('2');
    expect(cpuOf(allocations.grant('uid-1'))).toBe('2');
    expect(allocations.wanted('uid-1')).toBeUndefined();
    expect(cpuOf(allocations.view(podOf('2')))).toBe('2');
  });

  it('takes two ways of writing one quantity for the same', () => {
    const allocations = open();
    allocations.view(podOf('1'));
    allocations.view(podOf('1000m'));
    expect(allocations.wanted('uid-1')).toBeUndefined();
  });

  it('remembers grants and what containers have across a restart', () => {
    const first = open();
    first.actuated('uid-1', mainOf(first.view(podOf('1'))));
    first.view(podOf('2'));
    first.grant('uid-1');
    const second = open();
    expect(cpuOf(second.view(podOf('3')))).toBe('2');
    expect(second.need('uid-1', mainOf(podOf('2')))).toBe('update');
    second.actuated('uid-1', mainOf(podOf('2')));
    expect(second.need('uid-1', mainOf(podOf('2')))).toBeUndefined();
  });

  it('asks for a restart only when the resource that changes has that policy', () => {
    const allocations = open();
    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
    allocations.actuated('uid-1', mainOf(allocations.view(podOf('1', { resizePolicy }))));
    expect(allocations.need('uid-1', mainOf(podOf('2', { resizePolicy })))).toBe('update');
    const more = { requests: { cpu: '1', memory: '1Gi' } };
    const changed = podOf('1', { resizePolicy, resources: more });
    expect(allocations.need('uid-1', mainOf(changed))).toBe('restart');
  });
});

describe('Allocations of a pod as a whole', () => {
  const pod = (limit: string, fields: Partial<Container> = {}): Pod =>
    podWith({ resources: { limits: { cpu: limit } }, containers: [{ name: 'main', ...fields }] });
  const limitOf = (view: Pod): string | undefined => view.spec?.resources?.limits?.cpu;
  let root = '';
  const open = (): Allocations => new Allocations({ dirs: podDirs(root, join(root, 'logs')) });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'allocations-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('are shown until a wish is granted, and its group lags until it is changed', () => {
    const first = open();
    first.actuated('uid-1', mainOf(first.view(pod('1'))));
    expect(limitOf(first.view(pod('2')))).toBe('1');
    expect(first.podLags('uid-1')).toBe(false);
    first.grant('uid-1');
    expect(limitOf(first.view(pod('2')))).toBe('2');
    // Also for a kubelet that was started meanwhile.
    const second = open();
    expect(limitOf(second.view(pod('3')))).toBe('2');
    expect(second.podLags('uid-1')).toBe(true);
    expect(second.actuatedOfPod('uid-1')?.limits).toEqual({ cpu: '1' });
    second.podActuated('uid-1');
    expect(second.podLags('uid-1')).toBe(false);
    expect(second.actuatedOfPod('uid-1')?.limits).toEqual({ cpu: '2' });
  });

  it('change containers that have no limit of their own, by their policy', () => {
    const resizePolicy = [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }];
    const own = { name: 'own', resources: { limits: { cpu: '1' } } };
    const allocations = open();
    allocations.view(pod('1'));
    const containers = [{ name: 'main' }, { name: 'strict', resizePolicy }, own];
    for (const container of containers) allocations.actuated('uid-1', container);
    allocations.view(pod('2'));
    allocations.grant('uid-1');
    const needs = containers.map((container) => allocations.need('uid-1', container));
    expect(needs).toEqual(['update', 'restart', undefined]);
  });
});

describe('resizeRefusal', () => {
  const allocatable = { cpu: '2', memory: '1Gi' };
  it('calls what is more than the node has infeasible', () => {
    expect(resizeRefusal(podOf('3'), { allocatable, refusal: () => undefined })).toEqual({
      reason: 'Infeasible',
      message: "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000",
    });
  });
  it('defers what does not fit beside the others', () => {
    const refusal = () => ({ message: 'no room' });
    expect(resizeRefusal(podOf('2'), { allocatable, refusal })).toEqual({
      reason: 'Deferred',
      message: 'no room',
    });
  });
  it('refuses static pods', () => {
    const pod = podOf('1');
    pod.metadata.annotations = { 'kubernetes.io/config.source': 'file' };
    const found = resizeRefusal(pod, { allocatable, refusal: () => undefined });
    expect(found?.reason).toBe('Infeasible');
  });
  it('grants the rest', () => {
    expect(resizeRefusal(podOf('2'), { allocatable, refusal: () => undefined })).toBeUndefined();
  });
});
