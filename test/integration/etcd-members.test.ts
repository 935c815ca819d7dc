import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { initialCluster } from '../../src/cluster/etcd-membership.ts';
import { EtcdStorage } from '../../src/storage/etcd.ts';
import { EtcdMembers } from '../../src/storage/etcd-members.ts';
import { realClock } from '../../src/util/clock.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';

interface Member {
  name: string;
  client: string;
  peer: string;
  process?: ChildProcess;
}

const directory = mkdtempSync(join(tmpdir(), 'k8ts-members-'));
const started: Member[] = [];
afterAll(async () => {
  await Promise.all(started.map(kill));
  rmSync(directory, { recursive: true, force: true });
});

async function newMember(name: string): Promise<Member> {
  const url = async () => `http://127.0.0.1:${await freePort()}`;
  return { name, client: await url(), peer: await url() };
}

/** `others`: as the members that were there say it; empty for the first. */
function start(member: Member, others: string): void {
  const { name, client, peer } = member;
  const own = `${name}=${peer}`;
  const flags = {
    name,
    'data-dir': join(directory, name),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': others === '' ? own : `${others},${own}`,
    'initial-cluster-state': others === '' ? 'new' : 'existing',
    'heartbeat-interval': '250',
    'election-timeout': '2500',
  };
  const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  member.process = spawn('etcd', words, { stdio: 'ignore' });
  started.push(member);
}

async function kill({ process }: Member): Promise<void> {
  if (!process || process.exitCode !== null || process.signalCode !== null) return;
  const exited = once(process, 'exit');
  process.kill('SIGKILL');
  await exited;
}

async function withMembers<T>(
  of: readonly Member[],
  act: (members: EtcdMembers) => Promise<T>,
): Promise<T> {
  const members = new EtcdMembers({ endpoints: of.map(({ client }) => client) });
  try {
    return await act(members);
  } finally {
    members.close();
  }
}

async function grow(present: readonly Member[], name: string): Promise<Member> {
  const made = await newMember(name);
  const others = await withMembers(present, async (members) =>
    initialCluster(await members.list()),
  );
  const added = await eventually('the members have settled', () =>
    withMembers(present, (members) => members.addLearner(made.peer)),
  );
  // Writes go on before the new one has started: it has no vote yet.
  start(made, others);
  expect(added.isLearner).toBe(true);
  await eventually('the new member has caught up', () =>
    withMembers(present, async (members) => {
      await members.promote(added.id);
      return true;
    }),
  );
  return made;
}

describe('an etcd cluster', () => {
  it('grows from one member to three, outlives one, and shrinks, without losing a write', async () => {
    const one = await newMember('one');
    start(one, '');
    await eventually('the first answers', () => withMembers([one], (members) => members.list()));
    const two = await grow([one], 'two');
    const three = await grow([one, two], 'three');
    const list = await withMembers([three], (members) => members.list());
    expect(list.map(({ name }) => name).sort()).toEqual(['one', 'three', 'two']);
    expect(list.map(({ isLearner }) => isLearner)).toEqual([false, false, false]);
    const endpoints = [one, two, three].map(({ client }) => client);
    const storage = new EtcdStorage({ endpoints }, { clock: realClock });
    await storage.create('/registry/kept', Buffer.from('before'));
    await kill(one);
    await eventually('the other two go on', async () => {
      await storage.create(`/registry/after-${Date.now()}`, Buffer.from('after'));
      return true;
    });
    const gone = list.find(({ name }) => name === 'one');
    await withMembers([two, three], (members) => members.remove(gone?.id ?? ''));
    const left = await withMembers([two], (members) => members.list());
    expect(left.map(({ name }) => name).sort()).toEqual(['three', 'two']);
    expect(String((await storage.get('/registry/kept'))?.value)).toBe('before');
    await storage.close();
  });
});
