// A certificate authority of the test's own: browsers are made to trust it, as a company does with its own.
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the servers of the tests are: one namespace, two families (tools/in-namespace). */
export const HOST = '10.77.0.1';
export const NAME = 'calls.ringhall.test';
export const HOST_V6 = 'fd77::1';
/** The second machine (far-host.mjs): its own address and name, and the address of the NAT in front of it. */
export const FAR = '10.90.0.1';
export const FAR_NAME = 'far.ringhall.test';
export const FAR_NAT = '10.90.0.2';

const folder = mkdtempSync(join(tmpdir(), 'ringhall-ca-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = (name) => join(folder, name);
const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });

openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
  '-subj', '/CN=Ringhall test authority', '-addext', 'basicConstraints=critical,CA:TRUE',
  '-keyout', file('ca.key'), '-out', file('ca.pem'));
openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
  '-subj', '/CN=ringhall', '-keyout', file('key.pem'), '-out', file('request.pem'));
writeFileSync(file('names'), `subjectAltName=DNS:localhost,DNS:${NAME},DNS:${FAR_NAME},IP:127.0.0.1,IP:${HOST},IP:${HOST_V6},IP:${FAR}\nextendedKeyUsage=serverAuth\n`);
openssl('x509', '-req', '-in', file('request.pem'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial',
  '-days', '2', '-extfile', file('names'), '-out', file('leaf.pem'));
writeFileSync(file('chain.pem'), readFileSync(file('leaf.pem')) + readFileSync(file('ca.pem')));

export const CERTIFICATE = file('chain.pem');
export const KEY = file('key.pem');
/** For node's own requests. */
export const ROOT = readFileSync(file('ca.pem'), 'utf8');

/** What Chromium takes instead of the root: the digest of the server's key. */
export const KEY_DIGEST = createHash('sha256')
  .update(new X509Certificate(readFileSync(file('leaf.pem'))).publicKey.export({ type: 'spki', format: 'der' }))
  .digest('base64');

/** A folder for a Firefox profile that trusts the root. */
export function trustingProfile() {
  const profile = join(folder, `profile-${process.hrtime.bigint()}`);
  execFileSync('mkdir', [profile]);
  execFileSync('certutil', ['-N', '-d', `sql:${profile}`, '--empty-password']);
  execFileSync('certutil', ['-A', '-d', `sql:${profile}`, '-n', 'ringhall-test', '-t', 'C,,', '-i', file('ca.pem')]);
  return profile;
}
