// nat.mjs OUTSIDE INSIDE PORT: carries UDP between OUTSIDE:PORT and INSIDE:PORT, each client from a port of its own, as a NAT
// does. The line `rebind` on standard input gives every client another port, without a word to anybody; `deafen` swallows, from
// then on, the streams of sound that have been going to clients.
import { createSocket } from 'node:dgram';

const [outside, inside, port] = process.argv.slice(2);
const front = createSocket('udp4');
const clients = new Map();
/** Payload types of sound in Chromium's and Firefox's offers (Opus, and RED around it). */
const SOUND = [63, 109, 111];
const sounds = new Set();
const swallowed = new Set();

/** The SSRC of an RTP packet of sound, else null. */
function sound(bytes) {
  const isRtp = bytes.length > 12 && bytes[0] >> 6 === 2 && !(bytes[1] >= 192 && bytes[1] <= 223);
  return isRtp && SOUND.includes(bytes[1] & 0x7f) ? bytes.readUInt32BE(8) : null;
}

function mapping(client) {
  const socket = createSocket('udp4');
  socket.on('message', (bytes) => {
    const stream = sound(bytes);
    if (stream !== null) sounds.add(stream);
    if (!swallowed.has(stream)) front.send(bytes, client.port, client.address);
  });
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

process.stdin.on('data', (text) => {
  if (String(text).includes('deafen')) for (const stream of sounds) swallowed.add(stream);
  if (!String(text).includes('rebind')) return;
  for (const entry of clients.values()) {
    entry.socket.close();
    entry.socket = mapping(entry.client);
  }
});
process.stdin.on('end', () => process.exit());
