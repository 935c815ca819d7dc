// The least that a name server in Node.js does: each datagram goes back as it came, marked as an answer.
import { createSocket } from 'node:dgram';

const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
socket.on('message', (message, peer) => {
  message[2] = 0x80;
  message[7] = 1;
  socket.send(message, peer.port, peer.address);
});
socket.bind(Number(process.argv[2]), '127.0.0.1', () => console.log('Serving'));
