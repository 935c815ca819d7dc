import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PROTO_DIR } from '../../util/grpc.ts';
import { EtcdConnection } from './connection.ts';
import type { TxnResponse } from './messages.ts';

// A member that answers when it is told to.

type Answer = (response: object) => void;

let server: grpc.Server;
let connection: EtcdConnection;
let proposals: Answer[];
let term: number;
let waiting: (() => void)[];

beforeEach(async () => {
  [proposals, waiting, term] = [[], [], 2];
  const services = loadSync(join(PROTO_DIR, 'etcd.proto'), { defaults: true });
  const header = () => ({ header: { revision: 1, raftTerm: term } });
  server = new grpc.Server();
  server.addService(services['etcdserverpb.KV'] as grpc.ServiceDefinition, {
    Range: (_: unknown, answer: grpc.sendUnaryData<object>) => answer(null, header()),
    Txn: (_: unknown, answer: grpc.sendUnaryData<object>) => {
      proposals.push((response) => answer(null, { ...header(), ...response }));
      for (const resolve of waiting.splice(0)) resolve();
    },
  });
  server.addService(services['etcdserverpb.Maintenance'] as grpc.ServiceDefinition, {
    Status: (_: unknown, answer: grpc.sendUnaryData<object>) => answer(null, header()),
  });
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (err, bound) => {
      if (err) reject(err);
      else resolve(bound);
    });
  });
  connection = new EtcdConnection({ endpoints: [`http://127.0.0.1:${port}`] });
  await read();
});
afterEach(() => {
  connection.close();
  server.forceShutdown();
});

const read = () => connection.call('KV.Range', { key: Buffer.from('/a') });

const propose = () => connection.propose<TxnResponse>('KV.Txn', {}, ({ succeeded }) => succeeded);

/** The answer to the proposal of this number, once it has been received. */
async function received(number: number): Promise<Answer> {
  while (proposals.length <= number) {
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
  return proposals[number] as Answer;
}

it('sends a proposal again that the leader before has not answered', async () => {
  const proposing = propose();
  await received(0);
  term = 3;
  await read();
  const again = await received(1);
  again({ succeeded: true });
  expect((await proposing).succeeded).toBe(true);
});

it('asks for the term where no other call tells it', async () => {
  const proposing = propose();
  await received(0);
  term = 3;
  const again = await received(1);
  again({ succeeded: true });
  expect((await proposing).succeeded).toBe(true);
});

it('believes the first try when the second was refused: it may have been refused because of the first', async () => {
  const proposing = propose();
  const first = await received(0);
  term = 3;
  await read();
  const again = await received(1);
  again({ succeeded: false });
  await read();
  first({ succeeded: true });
  expect((await proposing).succeeded).toBe(true);
});

it('believes the second try when the first was refused: it may have been refused because of it', async () => {
  const proposing = propose();
  const first = await received(0);
  term = 3;
  await read();
  const again = await received(1);
  first({ succeeded: false });
  await read();
  again({ succeeded: true });
  expect((await proposing).succeeded).toBe(true);
});

it('believes that the second try was refused when nothing comes of the first', async () => {
  const proposing = propose();
  await received(0);
  term = 3;
  await read();
  const again = await received(1);
  again({ succeeded: false });
  expect((await proposing).succeeded).toBe(false);
});

it('sends nothing twice while the leader stays the same', async () => {
  const proposing = propose();
  const first = await received(0);
  const other = propose();
  const second = await received(1);
  await read();
  second({ succeeded: true });
  expect((await other).succeeded).toBe(true);
  first({ succeeded: false });
  expect((await proposing).succeeded).toBe(false);
  expect(proposals).toHaveLength(2);
});
