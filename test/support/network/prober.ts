// Opens connections from where it runs and tells who answered. Requests and answers are lines of JSON.
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Answer, ProbeRequest } from './network-world.ts';

const sockets = new Map<number, Socket>();
let flood: { running: boolean; answers: Answer[]; done: Promise<void> } | undefined;

async function handle(request: ProbeRequest): Promise<unknown> {
  const { op, host = '', port = 0, count = 1, timeoutMs = 2_000 } = request;
  switch (op) {
    case 'tcp':
      return await many(count, () => tcp(host, port, timeoutMs));
    case 'udp':
      return await many(count, () => udp(host, port, { timeoutMs, localPort: request.localPort }));
    case 'http':
      return await http(host, port, timeoutMs);
    case 'hold':
      return await hold(host, port, timeoutMs);
    case 'talk':
      return await talk(request.handle ?? 0, timeoutMs);
    case 'flood-start':
      startFlood(host, port, timeoutMs);
      return {};
    case 'flood-stop':
      return await stopFlood();
  }
}

async function many(count: number, one: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  const worker = async () => {
    while (answers.length < count) {
      const answer = one();
      answers.push({});
      const index = answers.length - 1;
      answers[index] = await answer;
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 8) }, worker));
  return answers;
}

function tcp(host: string, port: number, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    const started = performance.now();
    const socket = connect({ host, port });
    const end = (answer: Answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => end({ error: 'timeout' }));
    socket.on('error', (err: NodeJS.ErrnoException) => end({ error: err.code ?? 'error' }));
    socket.on('close', () => end({ error: 'closed' }));
    socket.once('data', (data) => {
      const microseconds = (performance.now() - started) * 1000;
      end({ ...parse(String(data)), microseconds });
    });
  });
}

function udp(
  host: string,
  port: number,
  { timeoutMs, localPort }: { timeoutMs: number; localPort?: number | undefined },
): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', reuseAddr: true });
    const end = (answer: Answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end({ error: 'timeout' }), timeoutMs);
    socket.on('error', (err: NodeJS.ErrnoException) => end({ error: err.code ?? 'error' }));
    socket.on('message', (data) => end(parse(String(data))));
    // A connected socket learns of refusals (ICMP) as errors.
    socket.bind(localPort ?? 0, () =>
      socket.connect(port, host, (err?: Error) => {
        if (err) end({ error: (err as NodeJS.ErrnoException).code ?? 'error' });
        else socket.send('?');
      }),
    );
  });
}

/** The whole answer to a GET, as it came. */
function http(host: string, port: number, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port });
    socket.setTimeout(timeoutMs, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
}

function hold(host: string, port: number, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => resolve({ error: 'timeout' }), timeoutMs);
    socket.on('error', (err: NodeJS.ErrnoException) => resolve({ error: err.code ?? 'error' }));
    socket.once('data', (data) => {
      clearTimeout(timer);
      sockets.set(sockets.size + 1, socket);
      resolve({ ...parse(String(data)), handle: sockets.size });
    });
  });
}

function talk(handle: number, timeoutMs: number): Promise<Answer> {
  const socket = sockets.get(handle);
  if (!socket || socket.destroyed) return Promise.resolve({ error: 'closed' });
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ error: 'timeout' }), timeoutMs);
    socket.once('data', (data) => {
      clearTimeout(timer);
      resolve(parse(String(data)));
    });
    socket.write('?');
  });
}

// A client has 28,000 ports, and each one rests for a minute after its connection.
const MAX_FLOOD = 20_000;

/** Connects without pause until told to stop. */
function startFlood(host: string, port: number, timeoutMs: number): void {
  const state = { running: true, answers: [] as Answer[], done: Promise.resolve() };
  const worker = async () => {
    while (state.running && state.answers.length < MAX_FLOOD) {
      state.answers.push(await tcp(host, port, timeoutMs));
    }
  };
  state.done = Promise.all([worker(), worker(), worker(), worker()]).then(() => {});
  flood = state;
}

async function stopFlood(): Promise<Answer[]> {
  if (!flood) return [];
  flood.running = false;
  await flood.done;
  return flood.answers;
}

function parse(data: string): Answer {
  const [name = '', peer = ''] = data.trim().split(' ');
  return { name, peer };
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as ProbeRequest & { id: number };
  handle(request).then(
    (result) => console.log(JSON.stringify({ id: request.id, result })),
    (err: unknown) => console.log(JSON.stringify({ id: request.id, error: String(err) })),
  );
}
