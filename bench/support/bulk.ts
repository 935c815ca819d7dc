// `bulk.ts serve PORT`: sends zeroes to whoever connects, without end. `bulk.ts take HOST PORT SECONDS`: prints the bytes per
// second that came.
import { connect, createServer } from 'node:net';

const [role = '', ...args] = process.argv.slice(2);
if (role === 'serve') {
  const chunk = Buffer.alloc(256 * 1024);
  createServer((socket) => {
    const send = () => {
      while (socket.write(chunk));
    };
    socket.on('drain', send);
    socket.on('error', () => socket.destroy());
    send();
  }).listen(Number(args[0]), '::', () => console.log(JSON.stringify({ ready: true })));
} else {
  const [host = '', port = '', seconds = ''] = args;
  let bytes = 0;
  const socket = connect({ host, port: Number(port) });
  socket.on('data', (data) => {
    bytes += data.length;
  });
  socket.on('connect', () =>
    setTimeout(() => {
      console.log(bytes / Number(seconds));
      process.exit(0);
    }, Number(seconds) * 1000),
  );
  socket.on('error', (err) => {
    console.error(err.message);
    process.exit(1);
  });
}
