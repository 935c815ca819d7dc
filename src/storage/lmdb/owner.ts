import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Tables } from './tables.ts';

// A process owns a store by a socket in its directory, which the kernel ends with it: no number of a process to be
// mistaken, and it holds across containers. Which socket counts is a fact in the store, changed under lmdb's lock.

const SOCKET = /^owner-[0-9a-f]+$/;

export interface Ownership {
  release(): void;
}

/** True when a living process writes to the store in this directory. */
export async function isOwned(directory: string): Promise<boolean> {
  for (const name of readdirSync(directory)) {
    if (SOCKET.test(name) && (await isAlive(directory, name))) return true;
  }
  return false;
}

/** Fails when a living process writes to the store in this directory. */
export async function checkUnowned(directory: string): Promise<void> {
  if (await isOwned(directory)) throw inUse(directory);
}

/** Makes this process the only one that writes to the store. */
export async function takeOwnership(directory: string, tables: Tables): Promise<Ownership> {
  const name = `owner-${randomBytes(8).toString('hex')}`;
  const server = await listenIn(directory, name);
  const release = (): void => {
    server.close();
    rmSync(join(directory, name), { force: true });
  };
  try {
    for (;;) {
      const before = tables.fact('owner');
      if (before && (await isAlive(directory, before))) throw inUse(directory);
      const isMine = tables.root.transactionSync(() => {
        if (tables.fact('owner') !== before) return false; // somebody was faster
        tables.putFactSync('owner', name);
        return true;
      });
      if (isMine) break;
    }
  } catch (err) {
    release();
    throw err;
  }
  for (const other of readdirSync(directory)) {
    if (SOCKET.test(other) && other !== name) rmSync(join(directory, other), { force: true });
  }
  return { release };
}

async function listenIn(directory: string, name: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  await through(directory, async (short) => {
    server.listen(join(short, name));
    await once(server, 'listening');
  });
  return server;
}

function isAlive(directory: string, name: string): Promise<boolean> {
  return through(directory, async (short) => {
    const socket = connect(join(short, name));
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  });
}

/** A socket's path has at most 107 characters: a directory is named by its descriptor. */
async function through<T>(directory: string, use: (short: string) => Promise<T>): Promise<T> {
  const fd = openSync(directory, 'r');
  try {
    return await use(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

function inUse(directory: string): Error {
  return new Error(`The store in ${directory} is in use by another process: stop that one first`);
}
