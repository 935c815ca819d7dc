import { writeSync } from 'node:fs';
import { LmdbStorage } from '../../src/storage/lmdb.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';

// Writes to a store as fast as it can until it is killed, and tells each write that was acknowledged: one line of
// `KEY REVISION VALUE` (value `-`: removed). Arguments: directory, number of writers.

const [directory = '', writers = '8'] = process.argv.slice(2);
const storage = LmdbStorage.open(directory, { clock: realClock, log: silent });
const told = (key: string, revision: number, value: string): void => {
  writeSync(1, `${key} ${revision} ${value}\n`);
};

async function work(writer: number): Promise<void> {
  for (let n = 0; ; n++) {
    const key = `/registry/w${writer}/k${n % 7}`;
    const value = `${process.pid}.${writer}.${n}`;
    const known = await storage.get(key);
    if (!known) told(key, await storage.create(key, Buffer.from(value)), value);
    else if (n % 5 === 0) told(key, await storage.delete(key, known.revision), '-');
    else told(key, await storage.update(key, Buffer.from(value), known.revision), value);
  }
}

await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => work(writer)));
