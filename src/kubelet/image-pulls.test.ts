import { expect, it } from 'vitest';
import { ImagePulls } from './image-pulls.ts';
import type { PodSandboxConfig } from './runtime/runtime.ts';

interface Pull {
  image: string;
  signal: AbortSignal | undefined;
  done(ref: string): void;
}

function pullsOf(limit: number) {
  const begun: Pull[] = [];
  const runtime = {
    pullImage: (spec: { image: string }, _auth: unknown, _sandbox: unknown, signal?: AbortSignal) =>
      new Promise<string>((done, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason));
        begun.push({ image: spec.image, signal, done });
      }),
  };
  return { begun, pulls: new ImagePulls(runtime, limit) };
}

const SANDBOX = {} as PodSandboxConfig;
const spec = (image: string) => ({ image, userSpecifiedImage: image });
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('no more pulls begin than may; the others have their turns in order, but for who left', async () => {
  const { pulls } = pullsOf(2);
  const leaving = new AbortController();
  const order: string[] = [];
  const ends: (() => void)[] = [];
  const ask = (name: string, signal = new AbortController().signal) =>
    pulls.turn(signal).then(
      (end) => {
        order.push(name);
        ends.push(end);
      },
      () => order.push(`${name} left`),
    );
  const all = [ask('a'), ask('b'), ask('c', leaving.signal), ask('d')];
  await settled();
  expect(order).toEqual(['a', 'b']);
  leaving.abort();
  await settled();
  ends.shift()?.();
  all.push(ask('e'));
  await settled();
  expect(order).toEqual(['a', 'b', 'c left', 'd']);
  ends.shift()?.();
  await Promise.all(all);
  expect(order.at(-1)).toBe('e');
});

it('one pull serves all who ask for the same image, until nobody wants it any more', async () => {
  const { begun, pulls } = pullsOf(1);
  const first = new AbortController();
  const second = new AbortController();
  const left = expect(pulls.anonymous(spec('app'), SANDBOX, first.signal)).rejects.toThrow();
  const served = pulls.anonymous(spec('app'), SANDBOX, second.signal);
  first.abort();
  await left;
  expect(begun).toHaveLength(1);
  expect(begun[0]?.signal?.aborted).toBe(false);
  begun[0]?.done('sha256:1');
  expect(await served).toBe('sha256:1');

  const third = new AbortController();
  const alone = expect(pulls.anonymous(spec('app'), SANDBOX, third.signal)).rejects.toThrow();
  third.abort();
  await alone;
  expect(begun[1]?.signal?.aborted).toBe(true);
});
