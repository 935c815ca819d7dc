// Stands in for a Pod: answers every TCP connection and UDP datagram with `NAME PEER`.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const [name = '', port = '8080'] = process.argv.slice(2);

const tcp = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.write(`${name} ${plain(socket.remoteAddress)}\n`);
  // Whoever goes on talking learns that it is still connected to the same one.
  socket.on('data', () => socket.write(`${name}\n`));
});
const udp = createSocket('udp6');
udp.on('message', (_message, peer) => {
  udp.send(`${name} ${plain(peer.address)}`, peer.port, peer.address);
});

function plain(address = ''): string {
  return address.replace('::ffff:', '');
}

tcp.listen(Number(port), '::', () =>
  udp.bind(Number(port), '::', () => console.log(JSON.stringify({ ready: true }))),
);
