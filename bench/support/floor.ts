import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

// A bare HTTPS server in a process of its own: sends one prepared buffer. Arguments: certificate file, key file, bytes.

const [cert = '', key = '', bytes = '0'] = process.argv.slice(2);
const buffer = Buffer.alloc(Number(bytes), 'x');
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, res) => {
  res.writeHead(200, { 'content-length': buffer.length });
  res.end(buffer);
});
server.listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as { port: number }).port);
});
process.on('disconnect', () => process.exit());
