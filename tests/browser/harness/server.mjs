// The real server, as an operator starts it: a process with a data directory, configured by environment.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CERTIFICATE, FAR_NAME, HOST, KEY, NAME, ROOT } from './certificates.mjs';
import { Postgres, Sqlite } from './database.mjs';
import { out } from './evidence.mjs';
import { eventually } from './wait.mjs';

/** The demo users that `serve --demo` makes, and the password of all of them. */
export const PASSWORD = 'ringhall-demo';

/** A UDP port that is free on every address now. */
async function freeMediaPort() {
  const probe = createSocket('udp4').bind(0);
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

export async function freePort(host = '127.0.0.1') {
  const probe = createServer().listen(0, host);
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Options of a server with the test's certificate. */
const SECURE = { RINGHALL_TLS_MODE: 'files', RINGHALL_TLS_CERTIFICATE: CERTIFICATE, RINGHALL_TLS_KEY: KEY };

/** Whether the server says that it is ready; the test's own authority is trusted. */
function ready(url) {
  if (!url.startsWith('https:')) return fetch(url).then((answer) => answer.ok);
  return new Promise((resolve, reject) => {
    get(url, { ca: ROOT, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    }).on('error', reject);
  });
}

export class Server {
  /** Starts a server on a database of its own and waits until `/readyz` says that it is ready. */
  static async start({ database = 'sqlite', options = {}, name = database, open = false, plain = false, host } = {}) {
    if (options.RINGHALL_MEDIA_LISTEN === 'known') {
      // A proxy has to know it (harness/proxy.mjs); 10.77.0.1 is the address of tools/in-namespace.
      options = { ...options, RINGHALL_MEDIA_LISTEN: `10.77.0.1:${await freeMediaPort()}` };
    }
    const folder = mkdtempSync(join(tmpdir(), 'ringhall-e2e-'));
    const store = database === 'postgres' ? await Postgres.create() : new Sqlite(join(folder, 'ringhall.db'));
    const server = new Server(folder, store, await freePort(), name);
    /** Where its media goes, when that was asked for. */
    server.media = options.RINGHALL_MEDIA_LISTEN;
    /** Without TLS. */
    server.plain = plain;
    try {
      // The demo's people are made on this machine, whatever the options say of another one.
      await server.#launch(open ? {} : options);
      if (open) await server.#openUp(options, host);
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  #child;
  #exited;
  #options = {};

  constructor(folder, database, port, name) {
    this.folder = folder;
    this.database = database;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.name = name;
    this.logFile = join(out, `server-${name}.log`);
  }

  /**
   * Starts it again without `--demo`, the way it stands on the internet: one port on the address of the network, with TLS,
   * for everything; `host`: on the second machine. The demo's people and chats are there already.
   */
  async #openUp(options, host) {
    await this.kill();
    this.open = true;
    this.host = host;
    this.url = `${this.plain ? 'http' : 'https'}://${host?.address ?? HOST}:${this.port}`;
    await this.#launch(options);
  }

  /** Browsers are told to find TURN by TLS under this name: Firefox checks no certificate against an address. */
  #publicUrl() {
    return this.plain ? this.url : `https://${this.host ? FAR_NAME : NAME}:${this.port}`;
  }

  /** What `/metrics` says by the names that begin so, one a line; nothing without `RINGHALL_METRICS_LISTEN`. */
  async metrics(beginning) {
    const listen = this.#options.RINGHALL_METRICS_LISTEN;
    if (!listen) return '';
    const text = await (await fetch(`http://${listen}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith(beginning)).join('\n');
  }

  get pid() {
    return this.#child?.pid;
  }

  async #launch(options) {
    this.#options = options;
    const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('RINGHALL_'));
    const serve = this.open ? ['serve'] : ['serve', '--demo'];
    const [command, ...args] = [...(this.host?.prefix ?? []), process.env.RINGHALL_BIN, ...serve];
    this.#child = spawn(command, args, {
      env: {
        ...Object.fromEntries(inherited),
        RINGHALL_DATA_DIR: this.folder,
        RINGHALL_HTTP_LISTEN: `127.0.0.1:${this.port}`,
        RINGHALL_MEDIA_LISTEN: '0.0.0.0:0',
        ...(this.database.url ? { RINGHALL_DATABASE_URL: this.database.url } : {}),
        // The scenarios sign in and call each other far more often than people do.
        RINGHALL_AUTH_ATTEMPTS_PER_MINUTE: '10000',
        RINGHALL_CALLS_STARTS_PER_USER_MINUTE: '0',
        RINGHALL_CALLS_STARTS_PER_CHAT_MINUTE: '0',
        ...options,
        ...(this.open
          ? { RINGHALL_HTTP_LISTEN: `0.0.0.0:${this.port}`, RINGHALL_HTTP_PUBLIC_URL: this.#publicUrl(), ...(this.plain ? {} : SECURE) }
          : {}),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(this.logFile, { flags: 'a' });
    this.#child.stdout.pipe(log);
    this.#child.stderr.pipe(log);
    this.#exited = once(this.#child, 'exit').then(([code, signal]) => ({ code, signal }));
    let gone;
    this.#exited.then((how) => (gone = how));
    await eventually(`${this.url}/readyz answers (log: ${this.logFile})`, async () => {
      if (gone) return true;
      return ready(`${this.url}/readyz`);
    }, 60_000);
    if (gone) throw new Error(`the server ended with ${JSON.stringify(gone)}; see ${this.logFile}`);
  }

  /** The ids that the demo made: `users` by login, and the chats `direct` (ivan and maria) and `group` (all four). */
  async directory() {
    const users = await this.database.rows('select id, login from users');
    const chats = await this.database.rows('select id, type from chats');
    return {
      users: Object.fromEntries(users.map((user) => [user.login, user.id])),
      direct: chats.find((chat) => chat.type === 'direct').id,
      group: chats.find((chat) => chat.type === 'group').id,
    };
  }

  /** Ends the process at once, as a crash or a lost machine does. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Tells it to end (SIGTERM), as systemd does before an upgrade; how it ended, and after how long. */
  async terminate() {
    const begun = Date.now();
    this.#child.kill('SIGTERM');
    return { ...(await this.#exited), ms: Date.now() - begun };
  }

  /** Starts it again over the same data, at the same address. */
  async restart() {
    await this.#launch(this.#options);
  }

  /** Ends the process (SIGTERM, as systemd does), by its id, and says how it ended. */
  async stop() {
    let how;
    if (this.#child?.pid && this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      const patience = setTimeout(() => this.#child.kill('SIGKILL'), 15_000);
      how = await this.#exited;
      clearTimeout(patience);
    }
    await this.database.drop();
    rmSync(this.folder, { recursive: true, force: true });
    return how;
  }
}
