// nginx in front of the server, with the sample that the package brings: only names, ports and certificate are the test's.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CERTIFICATE, KEY, NAME, ROOT } from './certificates.mjs';
import { eventually } from './wait.mjs';

const SAMPLE = new URL('../../../config/deploy/nginx.conf', import.meta.url);

/** Replaces what has to be there: a sample that says something else has to be tried anew. */
function replaced(text, from, to) {
  if (!text.includes(from)) throw new Error(`${SAMPLE.pathname} has no ${JSON.stringify(from)}`);
  return text.replaceAll(from, to);
}

function configuration(folder, port, behind) {
  let site = readFileSync(SAMPLE, 'utf8');
  site = replaced(site, 'listen 443 ssl;', `listen ${port} ssl;`);
  site = replaced(site, 'listen [::]:443 ssl;', `listen [::]:${port} ssl;`);
  site = replaced(site, 'server_name calls.example.org;', `server_name ${NAME};`);
  site = replaced(site, '/etc/letsencrypt/live/calls.example.org/fullchain.pem', CERTIFICATE);
  site = replaced(site, '/etc/letsencrypt/live/calls.example.org/privkey.pem', KEY);
  site = replaced(site, 'http://127.0.0.1:8080', `http://127.0.0.1:${behind}`);
  writeFileSync(join(folder, 'site.conf'), site);
  const own = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`);
  return `daemon off; master_process off; pid ${folder}/pid; error_log stderr warn; events {}
    http { access_log ${folder}/access.log; ${own.join(' ')} include ${folder}/site.conf; }`;
}

export class Nginx {
  /** Starts it before the server on this port of loopback, and waits until the server answers through it. */
  static async start(port, behind) {
    const nginx = new Nginx();
    nginx.folder = mkdtempSync(join(tmpdir(), 'ringhall-nginx-'));
    nginx.url = `https://${NAME}:${port}`;
    const file = join(nginx.folder, 'nginx.conf');
    writeFileSync(file, configuration(nginx.folder, port, behind));
    nginx.child = spawn('/usr/sbin/nginx', ['-p', nginx.folder, '-e', 'stderr', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    nginx.child.on('error', () => {});
    let said = '';
    nginx.child.stderr.on('data', (text) => (said += text));
    nginx.exited = once(nginx.child, 'exit').catch(() => {});
    await eventually(`nginx serves ${nginx.url} (it said: ${said}; apt-get install nginx-light)`, () => nginx.answers('/readyz'));
    return nginx;
  }

  answers(path) {
    return new Promise((resolve, reject) => {
      get(this.url + path, { ca: ROOT, agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      }).on('error', reject);
    });
  }

  /** What it wrote down of requests. */
  get log() {
    return readFileSync(join(this.folder, 'access.log'), 'utf8');
  }

  async stop() {
    this.child.kill('SIGTERM');
    await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
