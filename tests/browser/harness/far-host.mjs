// A second machine: a network namespace with two links to ours, so that one can be cut while the other stands. The server
// runs there, on an address of its own, and somebody's browser beside it, whose network never changes.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FAR, FAR_NAT } from './certificates.mjs';
import { eventually } from './wait.mjs';

const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });

/** Our end, the other end, and how dear the way is: Wi-Fi is preferred to the cellular network. */
const LINKS = [
  { name: 'wifi', near: '10.88.0.1', far: '10.88.0.2', metric: 10 },
  { name: 'cell', near: '10.89.0.1', far: '10.89.0.2', metric: 20 },
];

/** What the Wi-Fi gives us with a new lease. */
export const RENEWED = '10.88.0.77';

export class FarHost {
  static #started;

  /** The machine, set up at its first use. */
  static async get() {
    FarHost.#started ??= FarHost.#start();
    return FarHost.#started;
  }

  static async stop() {
    const host = await FarHost.#started?.catch(() => null);
    host?.#end();
    FarHost.#started = undefined;
  }

  static async #start() {
    const holder = spawn('unshare', ['-n', 'sleep', 'infinity'], { stdio: 'ignore' });
    const here = readlinkSync('/proc/self/ns/net');
    await eventually('the second network namespace', async () => readlinkSync(`/proc/${holder.pid}/ns/net`) !== here);
    const host = new FarHost(holder);
    for (const link of LINKS) {
      ip('link', 'add', link.name, 'type', 'veth', 'peer', 'name', 'far', 'netns', String(holder.pid));
      // Without link-local addresses: their arrival a second later would be one more change of network.
      ip('link', 'set', link.name, 'addrgenmode', 'none');
      host.ip('link', 'set', 'far', 'addrgenmode', 'none', 'name', `far-${link.name}`);
      host.ip('addr', 'add', `${link.far}/24`, 'dev', `far-${link.name}`);
      host.ip('link', 'set', `far-${link.name}`, 'up');
      // As a provider does: nothing with an address of the other link comes by this one.
      for (const other of LINKS.filter((one) => one !== link)) {
        host.ip('rule', 'add', 'pref', '2', 'iif', `far-${link.name}`, 'from', `${other.near}/24`, 'blackhole');
      }
      host.connect(link.name);
      // An ARP request that names the other link's address is dropped there, and everything waits for its answer.
      execFileSync('sh', ['-c', `echo 2 >/proc/sys/net/ipv4/conf/${link.name}/arp_announce`]);
    }
    host.ip('link', 'set', 'lo', 'up');
    // Our own addresses come first in every lookup; a firewall has to stand before that.
    host.ip('rule', 'add', 'pref', '10', 'lookup', 'local');
    host.ip('rule', 'del', 'pref', '0');
    for (const address of [FAR, FAR_NAT]) host.ip('addr', 'add', `${address}/32`, 'dev', 'lo');
    // Browsers gather nothing without a default route.
    host.ip('route', 'add', 'default', 'dev', 'far-wifi');
    // Our first interface (tools/in-namespace) is no way there: it would outlive every link that is cut.
    host.ip('route', 'add', 'blackhole', '10.77.0.0/24');
    return host;
  }

  /** Before a command that is to run there. */
  prefix;
  address = FAR;

  #changed = false;
  #offline = false;

  constructor(holder) {
    this.holder = holder;
    this.prefix = ['nsenter', '-t', String(holder.pid), '-n'];
    this.folder = mkdtempSync(join(tmpdir(), 'ringhall-far-'));
  }

  #end() {
    this.holder.kill('SIGKILL');
    for (const { name } of LINKS) execFileSync('sh', ['-c', `ip link del ${name} 2>/dev/null || true`]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  ip(...args) {
    this.#there('ip', ...args);
  }

  #there(...args) {
    const [command, ...rest] = [...this.prefix, ...args];
    return execFileSync(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  }

  /** A program that runs another one there, for those who want one name. */
  wrapper(program) {
    const path = join(this.folder, program.replaceAll('/', '-'));
    writeFileSync(path, `#!/bin/sh\nexec ${this.prefix.join(' ')} ${program} "$@"\n`, { mode: 0o755 });
    return path;
  }

  /** Brings one of our links up. */
  connect(name) {
    const link = LINKS.find((one) => one.name === name);
    execFileSync('sh', ['-c', `ip addr flush dev ${name}`]);
    ip('addr', 'add', `${link.near}/24`, 'dev', name);
    ip('link', 'set', name, 'up');
    this.#routes(link);
  }

  #routes(link) {
    for (const address of [FAR, FAR_NAT]) {
      ip('route', 'replace', `${address}/32`, 'via', link.far, 'dev', link.name, 'metric', String(link.metric));
    }
    ip('route', 'replace', 'default', 'via', link.far, 'dev', link.name, 'metric', String(link.metric));
  }

  /** Out of reach of the Wi-Fi. */
  cut(name) {
    this.#changed = true;
    ip('link', 'set', name, 'down');
  }

  /** The link that carries this connection of ours, by our address. */
  linkOf(address) {
    const link = LINKS.find(({ near }) => address.startsWith(near.slice(0, near.lastIndexOf('.') + 1)));
    if (!link) throw new Error(`no link has ${address}`);
    return link.name;
  }

  /** All links, and the interface that leads nowhere: the browsers are told that they are offline. */
  offline() {
    for (const { name } of LINKS) this.cut(name);
    this.#offline = true;
    ip('link', 'set', 'v0', 'down');
  }

  /** Back from {@link offline}. */
  online() {
    this.#offline = false;
    for (const { name } of LINKS) this.connect(name);
    ip('link', 'set', 'v0', 'up');
    // They go with the interface (tools/in-namespace gives them).
    execFileSync('sh', ['-c', 'ip -6 addr replace fd77::1/64 dev v0 nodad; ip -6 route replace default dev v0; ip route replace default dev v0']);
  }

  /** Another address in the same network, as after a new lease. */
  readdress(name, address = RENEWED) {
    this.#changed = true;
    const link = LINKS.find((one) => one.name === name);
    ip('addr', 'del', `${link.near}/24`, 'dev', name);
    ip('addr', 'add', `${address}/24`, 'dev', name);
    this.#routes(link);
  }

  /** A firewall that swallows UDP to an address, from now on. It stands there: here, the sender would be told at once. */
  blockUdp(address) {
    this.#changed = true;
    for (const { name } of LINKS) {
      this.ip('rule', 'add', 'pref', '1', 'iif', `far-${name}`, 'ipproto', 'udp', 'to', address, 'blackhole');
    }
    // And what it sends to us. Its own programs go on hearing it: they have addresses of the same links.
    for (const ours of [...LINKS.map(({ near }) => near), RENEWED]) {
      this.ip('rule', 'add', 'pref', '1', 'from', address, 'to', ours, 'ipproto', 'udp', 'blackhole');
    }
  }

  /** What goes from there to us passes a router that lets so much through, and keeps at most 300 ms of it waiting. */
  narrow(kbps) {
    this.#changed = true;
    for (const { name } of LINKS) {
      const shape = ['tbf', 'rate', `${kbps}kbit`, 'burst', '4kb', 'latency', '300ms'];
      this.#there('tc', 'qdisc', 'replace', 'dev', `far-${name}`, 'root', ...shape);
    }
  }

  /** Bytes that wait in that router now, and that stand in the buffers of the other machine's TCP connections. */
  waiting() {
    const router = this.#there('tc', '-s', 'qdisc', 'show').matchAll(/qdisc tbf[^]*?backlog (\d+)(K?)b/g);
    const sockets = this.#there('ss', '-tnH', 'src', FAR).trim().split('\n').filter(Boolean);
    return {
      router: Math.max(0, ...[...router].map(([, bytes, k]) => Number(bytes) * (k ? 1_024 : 1))),
      kernel: Math.max(0, ...sockets.map((line) => Number(line.trim().split(/\s+/)[2]))),
    };
  }

  /** Takes back what was done to the network. */
  heal() {
    if (!this.#changed) return;
    this.#changed = false;
    if (this.#offline) this.online();
    const [command, ...rest] = [...this.prefix, 'sh', '-c', 'while ip rule del pref 1 2>/dev/null; do :; done'];
    execFileSync(command, rest);
    for (const { name } of LINKS) {
      this.#there('sh', '-c', `tc qdisc del dev far-${name} root 2>/dev/null || true`);
      this.connect(name);
    }
  }

  /** A NAT in front of the server's media port that can give its clients new addresses. */
  async nat(port) {
    const [command, ...args] = [...this.prefix, process.execPath, new URL('nat.mjs', import.meta.url).pathname];
    const child = spawn(command, [...args, FAR_NAT, FAR, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', () => reject(new Error('the NAT has ended')));
    });
    return { rebind: () => child.stdin.write('rebind\n'), deafen: () => child.stdin.write('deafen\n'), stop: () => child.kill() };
  }
}
