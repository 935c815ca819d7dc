import { describe, expect, it } from 'vitest';
import { drive, FakeClock } from '../util/clock.fake.ts';
import { RpcError } from '../util/grpc.ts';
import { runsAllTheSame } from './lost-answers.ts';
import type { ContainerStatus } from './runtime/runtime.ts';

const failed = (code: string): RpcError => new RpcError('StartContainer', code, '');

/** Asks an engine that answers like this, one after another, and with the last one for ever; `asked` counts. */
async function runs(code: string, answers: readonly (string | undefined)[]) {
  const clock = new FakeClock();
  let asked = 0;
  const runtime = {
    async containerStatus(): Promise<ContainerStatus | undefined> {
      const answer = answers[Math.min(asked++, answers.length - 1)];
      if (answer === undefined) throw failed('UNAVAILABLE');
      return { state: `CONTAINER_${answer}` } as ContainerStatus;
    },
  };
  const stop = drive(clock, 1000);
  const { signal } = new AbortController();
  const answer = await runsAllTheSame('id', failed(code), { runtime, clock }, signal);
  await stop();
  return { runs: answer, asked };
}

describe('runsAllTheSame', () => {
  it.each<[string, string, (string | undefined)[], boolean]>([
    ['it has started', 'INTERNAL', ['RUNNING'], true],
    ['the engine is back later', 'UNAVAILABLE', [undefined, undefined, 'RUNNING'], true],
    ['it is still on its way', 'DEADLINE_EXCEEDED', ['CREATED', 'RUNNING'], true],
    ['it has ended', 'CANCELLED', ['CREATED', 'EXITED'], false],
    ['it was never started', 'UNAVAILABLE', ['CREATED'], false],
    ['the engine stays away', 'UNAVAILABLE', [undefined], false],
  ])('an answer was lost, and %s', async (_what, code, answers, wanted) => {
    expect((await runs(code, answers)).runs).toBe(wanted);
  });

  it('takes a refusal for what it is, and does not ask', async () => {
    expect(await runs('UNKNOWN', ['RUNNING'])).toEqual({ runs: false, asked: 0 });
  });
});
