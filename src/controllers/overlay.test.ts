import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import { createInformer } from '../client/informer.ts';
import { LaggingClient } from './lagging-client.fake.ts';
import { Overlay } from './overlay.ts';

const key = { namespace: 'default', name: 'web-0' };
const draft = { metadata: key, spec: { containers: [] } } as never;
const stop = { current: new AbortController() };
let lagMs: number;
let client: LaggingClient;
let pods: Informer<Pod>;
let overlay: Overlay<Pod>;

beforeEach(async () => {
  lagMs = 0;
  stop.current = new AbortController();
  client = new LaggingClient(() => lagMs);
  pods = createInformer(client, PODS);
  overlay = new Overlay(pods);
  void pods.run(stop.current.signal);
  await pods.whenSynced(stop.current.signal);
});
afterEach(() => stop.current.abort());

const all = () => overlay.over(pods.list(), () => true);
const going = (pod: Pod): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
});
const shown = (revision: string) =>
  vi.waitFor(() => expect(pods.revision).toBeGreaterThanOrEqual(Number(revision)), 30_000);

it('shows what was written before the informer does, and what others made of it after', async () => {
  lagMs = 60_000;
  const pod = await client.create(PODS, draft);
  overlay.wrote(pod);
  expect(pods.get(key)).toBeUndefined();
  expect(all()).toEqual([pod]);
  expect(overlay.get(key)).toEqual(pod);
});

it('drops what was written as soon as the informer shows something newer', async () => {
  const pod = await client.create(PODS, draft);
  overlay.wrote(pod);
  const body = { metadata: { labels: { by: 'others' } } };
  const newer = await client.patch(PODS, key, { type: 'merge', body });
  await shown(newer.metadata.resourceVersion);
  expect(all()).toEqual([newer]);
});

it('takes no answer that comes after the events: the object may be gone by then', async () => {
  const pod = await client.create(PODS, draft);
  await shown(pod.metadata.resourceVersion);
  await client.delete(PODS, key);
  await vi.waitFor(() => expect(pods.get(key)).toBeUndefined(), 30_000);
  overlay.wrote(pod);
  expect(all()).toEqual([]);
  overlay.dismissed(going(pod));
  expect(all()).toEqual([]);
  const again = await client.create(PODS, draft);
  await shown(again.metadata.resourceVersion);
  overlay.deleted(pod);
  expect(all()).toEqual([again]);
});

it('shows a deletion until the informer does', async () => {
  const pod = await client.create(PODS, draft);
  await shown(pod.metadata.resourceVersion);
  overlay.dismissed(going(pod));
  expect(all()).toEqual([going(pod)]);
  overlay.deleted(pod);
  expect(all()).toEqual([]);
  expect(overlay.get(key)).toBeUndefined();
  await client.delete(PODS, key);
  await vi.waitFor(() => expect(pods.get(key)).toBeUndefined(), 30_000);
  const again = await client.create(PODS, draft);
  await shown(again.metadata.resourceVersion);
  expect(all()).toEqual([again]);
});
