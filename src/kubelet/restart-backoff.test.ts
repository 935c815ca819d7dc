import { expect, it } from 'vitest';
import type { Container } from '../api/types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { newPodState } from './pod-state.ts';
import { exited, podWith, ranContainer, runtimePod } from './pods.fake.ts';
import { RestartBackoff } from './restart-backoff.ts';

function backoffOf() {
  const clock = new FakeClock(3000);
  const events: string[] = [];
  const recorder = {
    event: (_about: object, _type: string, reason: string): void => void events.push(reason),
  };
  const backoff = new RestartBackoff({ clock, recorder });
  const pod = podWith();
  const state = newPodState(pod);
  const [container] = pod.spec?.containers ?? [];
  const wait = (runtime: ReturnType<typeof runtimePod>, fields: Partial<Container> = {}): number =>
    container ? backoff.wait(state, { ...container, ...fields }, runtime) : -1;
  return { clock, events, state, wait };
}

it('a container that ends again and again waits longer each time', async () => {
  const { clock, events, state, wait } = backoffOf();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    const ended = runtimePod([exited('main', 1, { attempt, finishedAt: clock.now() })]);
    const needed = wait(ended);
    waits.push(needed);
    await clock.advance(needed);
    if (needed > 0) expect(wait(ended)).toBe(0);
  }
  expect(waits).toEqual([0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  expect(events).toHaveLength(7);
  expect(state.waiting.get('main')?.message).toContain('back-off 5m0s restarting failed container');
});

it('with another image it does not wait', () => {
  const { clock, wait } = backoffOf();
  const ended = () => runtimePod([exited('main', 1, { finishedAt: clock.now() })]);
  expect(wait(ended())).toBe(0);
  expect(wait(ended())).toBe(10_000);
  expect(wait(ended(), { image: 'mended' })).toBe(0);
});

it('one that a probe ended waits from the end before, which may be long ago', async () => {
  const { clock, wait } = backoffOf();
  const killed = (before: number) =>
    runtimePod([
      ranContainer('main', { attempt: 2 }),
      exited('main', 137, { attempt: 1, finishedAt: before }),
    ]);
  expect(wait(runtimePod([ranContainer('main')]))).toBe(0);
  const first = clock.now();
  expect(wait(killed(first))).toBe(0);
  await clock.advance(4000);
  expect(wait(killed(first))).toBe(6000);
  await clock.advance(6000);
  expect(wait(killed(first))).toBe(0);
});
