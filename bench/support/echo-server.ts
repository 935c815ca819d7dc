import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent } from 'node:https';
import { type ApiProcess, senderOf } from '../../test/support/api-process.ts';

// A bare HTTPS server of Node's that parses the body of each request and echoes it: what any API server in Node pays.
const SCRIPT = `
const { createServer } = require('node:https');
const { cert, key } = JSON.parse(process.argv[1]);
const kept = Buffer.from(JSON.stringify({ kept: 'x'.repeat(1400) }));
createServer({ cert, key }, (req, res) => {
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    const body = chunks.length === 0 ? kept : Buffer.from(JSON.stringify(JSON.parse(Buffer.concat(chunks))));
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    res.end(body);
  });
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
`;

/** The floor that requests are judged against. */
export interface EchoServer {
  readonly send: ApiProcess['send'];
  stop(): Promise<void>;
}

export async function startEchoServer({
  certificate,
  key,
}: Pick<ApiProcess, 'certificate' | 'key'>): Promise<EchoServer> {
  const options = JSON.stringify({ cert: certificate, key });
  const child: ChildProcess = spawn(process.execPath, ['-e', SCRIPT, options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = await once(child.stdout as NodeJS.ReadableStream, 'data');
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  return {
    send: senderOf(agent, Number(String(chunk))),
    async stop() {
      agent.destroy();
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
