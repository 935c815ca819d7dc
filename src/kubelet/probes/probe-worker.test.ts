import { describe, expect, it } from 'vitest';
import type { Probe } from '../../api/types.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import type { ProbeOutcome } from './probe-runner.ts';
import { type ProbeKind, ProbeWorker } from './probe-worker.ts';

type Result = ProbeOutcome['result'];

/** Runs a probe once for each of the results, and answers what it told. */
async function told(kind: ProbeKind, probe: Probe, results: readonly Result[]) {
  const clock = new FakeClock();
  const verdicts: boolean[] = [];
  const left = [...results];
  let runs = 0;
  let troubles = 0;
  const worker = new ProbeWorker(kind, probe, {
    clock,
    held: () => false,
    run: async () => {
      runs++;
      return { result: left.shift() ?? 'success', message: '' };
    },
    onTrouble: () => troubles++,
    onVerdict: (passed) => verdicts.push(passed),
  });
  worker.start((probe.periodSeconds ?? 10) * 1000);
  for (let rounds = 0; rounds < 20 && left.length > 0; rounds++) {
    await clock.advance((probe.periodSeconds ?? 10) * 1000);
  }
  worker.stop();
  return { verdicts, verdict: worker.verdict, runs, troubles };
}

describe('ProbeWorker', () => {
  it.each<[string, ProbeKind, Probe, Result[], boolean[]]>([
    ['passes with the first success', 'readiness', {}, ['success'], [true]],
    ['fails after three failures', 'liveness', {}, ['failure', 'failure', 'failure'], [false]],
    [
      'begins to count anew after a success',
      'liveness',
      { failureThreshold: 2 },
      ['failure', 'success', 'failure'],
      [true],
    ],
    [
      'needs as many successes as it says',
      'readiness',
      { successThreshold: 2, failureThreshold: 1 },
      ['failure', 'success', 'success'],
      [false, true],
    ],
    ['takes a warning for a success', 'readiness', {}, ['warning'], [true]],
    [
      'tells a verdict only when it changes',
      'readiness',
      { failureThreshold: 1 },
      ['success', 'success', 'failure', 'failure', 'success'],
      [true, false, true],
    ],
  ])('%s', async (...[, kind, probe, results, verdicts]) => {
    expect((await told(kind, probe, results)).verdicts).toEqual(verdicts);
  });

  it('tries a probe that does not work three times, and says nothing of the container', async () => {
    const { runs, troubles, verdict } = await told('liveness', { failureThreshold: 1 }, [
      'error',
      'error',
      'error',
    ]);
    expect({ runs, troubles, verdict }).toEqual({ runs: 3, troubles: 1, verdict: undefined });
  });

  it('does not run while it is held back', async () => {
    const clock = new FakeClock();
    let held = true;
    let runs = 0;
    const worker = new ProbeWorker(
      'readiness',
      { periodSeconds: 1 },
      {
        clock,
        held: () => held,
        run: async () => {
          runs++;
          return { result: 'success', message: '' };
        },
        onTrouble: () => {},
        onVerdict: () => {},
      },
    );
    worker.start(500);
    await clock.advance(3000);
    expect(runs).toBe(0);
    held = false;
    await clock.advance(1000);
    expect(runs).toBe(1);
    worker.stop();
    await clock.advance(5000);
    expect(runs).toBe(1);
  });

  it('runs at once when it is let go, but not before its first delay', async () => {
    const clock = new FakeClock();
    let held = true;
    let runs = 0;
    const deps = {
      clock,
      held: () => held,
      run: async (): Promise<ProbeOutcome> => {
        runs++;
        return { result: 'success', message: '' };
      },
      onTrouble: () => {},
      onVerdict: () => {},
    };
    const worker = new ProbeWorker('readiness', { periodSeconds: 60 }, deps);
    worker.start(5000);
    worker.release();
    await clock.advance(4999);
    await clock.advance(1001);
    expect(runs).toBe(0);
    held = false;
    worker.release();
    await clock.advance(0);
    expect(runs).toBe(1);
    await clock.advance(59_999);
    expect(runs).toBe(1);
    worker.stop();
    worker.release();
    await clock.advance(60_000);
    expect(runs).toBe(1);
  });

  it('ends a startup probe with its success', async () => {
    const { runs } = await told('startup', { periodSeconds: 1 }, ['failure', 'success', 'success']);
    expect(runs).toBe(2);
  });

  it('asks a container no more of which it has said that it shall end', async () => {
    const probe = { periodSeconds: 1, failureThreshold: 2 };
    const results: Result[] = ['failure', 'failure', 'success', 'failure'];
    expect((await told('liveness', probe, results)).runs).toBe(2);
    expect((await told('startup', probe, results)).runs).toBe(2);
    expect((await told('readiness', probe, results)).runs).toBe(4);
  });

  it('runs at once with others that are due nearly then, and does not drift by that', async () => {
    const clock = new FakeClock();
    const begun = clock.now();
    const runs = [0, 7, 13].map((first) => {
      const at: number[] = [];
      const worker = new ProbeWorker(
        'readiness',
        { periodSeconds: 1 },
        {
          clock,
          held: () => false,
          run: async () => {
            at.push(clock.now() - begun);
            return { result: 'success', message: '' };
          },
          onTrouble: () => {},
          onVerdict: () => {},
        },
      );
      worker.start(first);
      return { worker, at };
    });
    await clock.advance(3500);
    for (const { worker } of runs) worker.stop();
    expect(runs.map(({ at }) => at)).toEqual([
      [0, 1000, 2000, 3000],
      [7, 1000, 2000, 3000],
      [13, 1020, 2020, 3020],
    ]);
  });

  it('goes on in its period when the clock is set during a run', async () => {
    const clock = new FakeClock();
    let runs = 0;
    const worker = new ProbeWorker(
      'liveness',
      { periodSeconds: 10 },
      {
        clock,
        held: () => false,
        run: async () => {
          runs++;
          clock.jump(-3_600_000);
          return { result: 'success', message: '' };
        },
        onTrouble: () => {},
        onVerdict: () => {},
      },
    );
    worker.start(0);
    await clock.advance(0);
    await clock.advance(10_000);
    expect(runs).toBe(2);
    worker.stop();
  });
});
