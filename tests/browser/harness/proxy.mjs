// A bad network between one person and the server: the UDP proxy of the load harness (`ringhall-load impair`).
//
// The server advertises its own address. The person's page is told the proxy's instead: the candidates of what it is answered
// are rewritten before the browser reads them. Everybody else goes straight to the server.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { eventually } from './wait.mjs';

/** The address of tools/in-namespace. */
const HOST = '10.77.0.1';

/** One direction as TOML: `{ rate_kbps: 1000, buffer_ms: 300 }`; the names are those of docs/benchmarks.md, "A bad network". */
const table = (name, link) => [`[${name}]`, ...Object.entries(link ?? {}).map(([key, value]) => `${key} = ${value}`)].join('\n');

const toml = ({ seed = 1, up, down }) => `seed = ${seed}\n${table('up', up)}\n${table('down', down)}\n`;

/** Runs in the page, before its own scripts: media goes to `port` of `host`, whatever the server's answer says. */
function redirect(host, port) {
  const accept = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function (description) {
    const sdp = description.sdp.replace(/^(a=candidate:\S+ \d+ udp \d+) \S+ \d+ /gim, `$1 ${host} ${port} `);
    return accept.call(this, { type: description.type, sdp });
  };
}

export class BadNetwork {
  /** `link`: `{ up, down, seed }`; nothing: a perfect one, until {@link change}. */
  static async start(server, link = {}) {
    const network = new BadNetwork(server, link);
    await eventually('the proxy listens', () => network.#address() ?? network.#gone());
    return network;
  }

  #said = '';
  #report = '';
  #child;
  #exited;
  #folder = mkdtempSync(join(tmpdir(), 'ringhall-link-'));

  constructor(server, link) {
    this.file = join(this.#folder, 'link.toml');
    writeFileSync(this.file, toml(link));
    const program = process.env.RINGHALL_LOAD_BIN ?? join(dirname(process.env.RINGHALL_BIN), 'ringhall-load');
    this.#child = spawn(program, ['impair', '--listen', `${HOST}:0`, '--server', server.media, this.file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stderr.on('data', (data) => (this.#said += data));
    this.#child.stdout.on('data', (data) => (this.#report += data));
    this.#exited = once(this.#child, 'exit');
  }

  #address() {
    return this.#said.match(/^([\d.]+):(\d+) ->/m);
  }

  #gone() {
    if (this.#child.exitCode !== null) throw new Error(`ringhall-load impair: ${this.#said}`);
    return null;
  }

  /** For {@link Person.arrive}: this person's media takes the bad way. */
  get way() {
    const [, host, port] = this.#address();
    return { script: redirect, scriptArguments: [host, port] };
  }

  /** Another link from now on. */
  async change(link) {
    const changes = () => this.#said.match(/^changed$/gm)?.length ?? 0;
    const before = changes();
    writeFileSync(this.file, toml(link));
    this.#child.kill('SIGHUP');
    await eventually('the proxy takes the new link', () => changes() > before || this.#gone());
  }

  /** Ends it, and says what it did to the packets of both directions. */
  async stop() {
    if (this.#child.exitCode === null) this.#child.kill('SIGINT');
    await this.#exited;
    rmSync(this.#folder, { recursive: true, force: true });
    return this.#report ? JSON.parse(this.#report) : null;
  }
}
