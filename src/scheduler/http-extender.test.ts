import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CONFIG_API_VERSION, readConfig } from './config.ts';
import { SchedulingCycle } from './cycle.ts';
import { CycleState } from './cycle-state.ts';
import { testBench } from './framework.fake.ts';
import { httpExtender } from './http-extender.ts';
import { makeNode, makePod } from './objects.fake.ts';
import { PodInfo } from './pod-info.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const DIES = Symbol('the connection breaks');
const STOPS = Symbol('the answer breaks off');
const REFUSES = Symbol('503');

function reply(res: ServerResponse, told: unknown): void {
  if (told === DIES) res.socket?.destroy();
  else if (told === REFUSES) res.writeHead(503).end();
  else if (told === STOPS) {
    res.write('{"nodenames":');
    res.socket?.end();
  } else if (told !== undefined) res.end(typeof told === 'string' ? told : JSON.stringify(told));
}

/** Places a Pod on nodes a, b and c with one extender that answers as told; `undefined` hangs. */
async function placeWith(
  answer: (verb: string, args: { nodenames: string[] }) => unknown,
  fields: object = {},
) {
  const server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += chunk;
    });
    req.on('end', () => {
      const told = answer((req.url ?? '').slice(1), JSON.parse(body));
      reply(res, told);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const urlPrefix = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const verbs = { filterVerb: 'filter', prioritizeVerb: 'prioritize', weight: 5 };
  const config = readConfig({
    apiVersion: CONFIG_API_VERSION,
    kind: 'KubeSchedulerConfiguration',
    extenders: [{ urlPrefix, ...verbs, nodeCacheCapable: true, httpTimeout: '30s', ...fields }],
  });
  const extenders = await Promise.all(config.extenders.map(httpExtender));
  const bench = testBench();
  bench.addNodes(makeNode('a'), makeNode('b'), makeNode('c'));
  const cycle = new SchedulingCycle(
    { extenders, random: () => 0 },
    { percentageOfNodesToScore: 100 },
  );
  const pod = new PodInfo(makePod('p'));
  return cycle.place(bench.profile, new CycleState(), pod, bench.cache.snapshot());
}

const all = (verb: string, { nodenames }: { nodenames: string[] }) =>
  verb === 'filter' ? { nodenames } : [];

describe('an HTTP extender', () => {
  it('filters and prefers', async () => {
    const placed = await placeWith((verb) =>
      verb === 'filter'
        ? { nodenames: ['b', 'c'], failedNodes: { a: 'no license' } }
        : [
            { host: 'b', score: 1 },
            { host: 'c', score: 9 },
          ],
    );
    expect(placed).toMatchObject({ kind: 'placed', nodeName: 'c' });
    expect(placed.kind === 'placed' && placed.rejections.get('a')?.reasons).toEqual(['no license']);
  });

  it('is asked only about Pods that use its resources', async () => {
    const managedResources = [{ name: 'example.com/gpu' }];
    const placed = await placeWith(() => ({ nodenames: [] }), { managedResources });
    expect(placed.kind).toBe('placed');
  });

  it.each([
    ['hangs', () => undefined],
    ['dies', () => DIES],
    ['dies while it answers', () => STOPS],
    ['is overloaded', () => REFUSES],
    ['answers nonsense', () => 'not json'],
    ['answers something else', () => ({ nodenames: 'a' })],
    ['answers nothing', () => 'null'],
    ['names a node that it was not asked about', () => ({ nodenames: ['z'] })],
    ['says that it failed', () => ({ error: 'out of order' })],
  ])('that %s fails the attempt, unless it may be ignored', async (what, answer) => {
    const fields = what === 'hangs' ? { httpTimeout: '200ms' } : {};
    expect((await placeWith(answer, fields)).kind).toBe('failed');
    const optional = { ...fields, ignorable: true, prioritizeVerb: '' };
    expect((await placeWith(answer, optional)).kind).toBe('placed');
  });

  it('that is not there fails the attempt, unless it may be ignored', async () => {
    const urlPrefix = 'http://127.0.0.1:1';
    const answer = () => undefined;
    expect((await placeWith(answer, { urlPrefix })).kind).toBe('failed');
    const optional = { urlPrefix, ignorable: true, prioritizeVerb: '' };
    expect((await placeWith(answer, optional)).kind).toBe('placed');
  });

  it('that fails to prefer is passed over', async () => {
    const placed = await placeWith((verb, args) => (verb === 'filter' ? all(verb, args) : 'x'));
    expect(placed.kind).toBe('placed');
    const lying = await placeWith((verb, args) =>
      verb === 'filter' ? all(verb, args) : [{ host: 'a', score: 99 }],
    );
    expect(lying.kind).toBe('placed');
  });
});
