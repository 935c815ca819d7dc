// Asks a DNS server without pause and prints what came back as one line of JSON:
// `node dns-load.ts PORT SECONDS IN_FLIGHT NAME...`.
import { createSocket, type Socket } from 'node:dgram';

const [port = '53', seconds = '5', inFlight = '32', ...names] = process.argv.slice(2);
const SOCKETS = 8;
const LOST_MS = 1_000;

/** A question for the A records of a name, its id to be filled in (RFC 1035 section 4). */
function question(name: string): Buffer {
  const labels = name
    .split('.')
    .flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  return Buffer.concat([
    Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels,
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
}

const questions = names.map(question);
const latencies: number[] = [];
let next = 0;
let lost = 0;
let wrong = 0;
let running = true;

/** Keeps some questions under way on one socket; the id is the place in `sent`. */
async function keepAsking(count: number): Promise<void> {
  const socket: Socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  await new Promise<void>((resolve) => socket.connect(Number(port), '127.0.0.1', resolve));
  const sent = new Array<number>(count).fill(0);
  const ask = (id: number) => {
    const message = Buffer.from(questions[next++ % questions.length] ?? '');
    message.writeUInt16BE(id, 0);
    sent[id] = performance.now();
    socket.send(message);
  };
  socket.on('message', (answer) => {
    const id = answer.readUInt16BE(0);
    latencies.push(performance.now() - (sent[id] ?? 0));
    if (((answer[3] ?? 15) & 15) !== 0 || answer.readUInt16BE(6) === 0) wrong++;
    if (running) ask(id);
  });
  for (let id = 0; id < count; id++) ask(id);
  const watch = setInterval(() => {
    for (const [id, at] of sent.entries()) {
      if (performance.now() - at < LOST_MS) continue;
      lost++;
      ask(id);
    }
  }, LOST_MS);
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
  running = false;
  clearInterval(watch);
  socket.close();
}

const begin = performance.now();
const share = Math.ceil(Number(inFlight) / SOCKETS);
await Promise.all(Array.from({ length: SOCKETS }, () => keepAsking(share)));
const elapsed = (performance.now() - begin) / 1000;
latencies.sort((a, b) => a - b);
const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? Number.NaN;
console.log(
  JSON.stringify({ rate: latencies.length / elapsed, p50: at(0.5), p99: at(0.99), lost, wrong }),
);
