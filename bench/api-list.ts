import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:https';
import { startApiProcess } from '../test/support/api-process.ts';

// LIST of 10,000 objects of 3 kB, whole, paged and by a label that one in a hundred has, beside a bare HTTPS server
// that sends one prepared buffer of the same size.

const COUNT = 10_000;
const PATH = '/api/v1/namespaces/default/configmaps';
const data = { text: 'x'.repeat(2_700) };

const server = await startApiProcess();
const memory = (): number => {
  const found = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) / 1024;
};
const timed = async (name: string, action: () => Promise<number>): Promise<number> => {
  let best = Number.POSITIVE_INFINITY;
  let bytes = 0;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    bytes = await action();
    best = Math.min(best, performance.now() - start);
  }
  console.log(
    `${name.padEnd(34)} ${best.toFixed(1).padStart(8)} ms  ${(bytes / 1e6).toFixed(1)} MB`,
  );
  return best;
};

const empty = memory();
for (let start = 0; start < COUNT; start += 100) {
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => {
      const n = start + i;
      const labels = { hundredth: String(n % 100) };
      return server.send('POST', PATH, { metadata: { name: `m${n}`, labels }, data });
    }),
  );
}
console.log(`memory per object: ${(((memory() - empty) * 1024) / COUNT).toFixed(1)} kB`);
let size = 0;
const whole = await timed('LIST whole', async () => {
  size = (await server.send('GET', PATH)).bytes;
  return size;
});
await timed('LIST in pages of 500', async () => {
  let token = '';
  let bytes = 0;
  do {
    const page = await server.send('GET', `${PATH}?limit=500&continue=${token}`);
    bytes += page.bytes;
    token = /"continue":"([^"]+)"/.exec(page.text.slice(0, 1000))?.[1] ?? '';
  } while (token !== '');
  return bytes;
});
await timed('LIST with a label of 1 %', async () => {
  return (await server.send('GET', `${PATH}?labelSelector=hundredth%3D7`)).bytes;
});
await timed('GET', async () => (await server.send('GET', `${PATH}/m77`)).bytes);

const { options } = server.agent;
const buffer = Buffer.alloc(size, 'x');
const bare = createServer({ cert: server.certificate, key: server.key }, (_, res) => {
  res.writeHead(200, { 'content-length': buffer.length });
  res.end(buffer);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => bare.once('listening', resolve));
const { port } = bare.address() as { port: number };
const floor = await timed('bare server, one prepared buffer', () => {
  return new Promise<number>((resolve, reject) => {
    const req = request({ ...options, agent: false, host: '127.0.0.1', port }, (res) => {
      let bytes = 0;
      res.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      res.on('end', () => resolve(bytes));
    });
    req.on('error', reject);
    req.end();
  });
});
console.log(`LIST whole reaches ${((100 * floor) / whole).toFixed(0)} % of the bare server`);
bare.close();
bare.closeAllConnections();
await server.stop();
