// nat.mjs OUTSIDE INSIDE PORT: carries UDP between OUTSIDE:PORT and INSIDE:PORT, each client from a port of its own, as a NAT
// does. A line on standard input gives every client another port, without a word to anybody.
import { createSocket } from 'node:dgram';

const [outside, inside, port] = process.argv.slice(2);
const front = createSocket('udp4');
const clients = new Map();

function mapping(client) {
  const socket = createSocket('udp4');
  socket.on('message', (bytes) => front.send(bytes, client.port, client.address));
  socket.on('error', () => {});
  socket.bind(0, outside);
  return socket;
}

front.on('message', (bytes, client) => {
  const key = `${client.address}:${client.port}`;
  if (!clients.has(key)) clients.set(key, { client, socket: mapping(client) });
  clients.get(key).socket.send(bytes, Number(port), inside);
});
front.bind(Number(port), outside, () => console.log('ready'));

process.stdin.on('data', () => {
  for (const entry of clients.values()) {
    entry.socket.close();
    entry.socket = mapping(entry.client);
  }
});
process.stdin.on('end', () => process.exit());
