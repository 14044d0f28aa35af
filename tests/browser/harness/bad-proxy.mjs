// A proxy before the server that can be made to do what bad ones do: cut WebSockets off, or let little through.
import { createServer, connect } from 'node:net';
import { once } from 'node:events';

export class BadProxy {
  /** WebSockets are refused. */
  noSockets = false;
  /** Bytes a second in each direction; 0: as many as come. */
  rate = 0;

  static async before(port) {
    const proxy = new BadProxy();
    proxy.#server = createServer((client) => proxy.#carry(client, port)).listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  #server;
  #open = new Set();

  #carry(client, port) {
    const server = connect(port, '127.0.0.1');
    for (const [from, to] of [[client, server], [server, client]]) {
      this.#open.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#open.delete(from);
        to.destroy();
      });
      from.on('data', (bytes) => this.#pass(from, to, bytes));
      from.on('end', () => to.end());
    }
  }

  #pass(from, to, bytes) {
    if (this.noSockets && bytes.includes('GET /v1/ws')) {
      from.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    to.write(bytes);
    if (this.rate === 0) return;
    from.pause();
    setTimeout(() => from.resume(), (bytes.length / this.rate) * 1_000);
  }

  stop() {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
  }
}
