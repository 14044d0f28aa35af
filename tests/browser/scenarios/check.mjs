// The page /check in set-ups that are broken on purpose: it names the fault. And in a sound one it finds none.
import { strict as assert } from 'node:assert';
import { join } from 'node:path';

import { BadProxy } from '../harness/bad-proxy.mjs';
import { HOST } from '../harness/certificates.mjs';
import { out } from '../harness/evidence.mjs';
import { freePort } from '../harness/server.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

/** Runs the check and gives each step as `{ level, key, text }`, and the verdict as `all`. */
async function checked(person, url) {
  await person.visit(`${url}/check`);
  await person.click('check-start');
  const { level } = await person.sees('check-done', '', 60_000);
  const steps = await person.page.$$eval('[data-testid="check-step"]', (all) =>
    all.map((e) => [e.dataset.step, { level: e.dataset.level, key: e.dataset.key, text: e.textContent }]),
  );
  return { ...Object.fromEntries(steps), all: level };
}

/** This step has this level and says this; a fault anywhere else would be another fault than the one that was made. */
function names(found, step, level, key) {
  assert.equal(found[step].level, level, JSON.stringify(found));
  assert.equal(found[step].key, key, JSON.stringify(found));
  assert.ok(found[step].text.length > 20, found[step].text);
}

const faults = (found) =>
  Object.entries(found).filter(([id, { level }]) => id !== 'all' && level === 'fault').map(([id]) => id);

async function permission(person, name, setting) {
  const session = await person.page.createCDPSession();
  const browserContextId = person.context.id;
  await session.send('Browser.setPermission', { permission: { name }, setting, browserContextId });
}

/**
 * One set-up, looked at with every browser. Where time is short Firefox looks only at those that are its own affair (`quick`): it
 * gathers and refuses differently, while a server that is gone is gone for both. `only`: what the other one cannot be made to do.
 */
function check(name, body, { quick = false, only } = {}) {
  for (const browser of BROWSERS.filter((one) => (only ?? one) === one)) {
    const long = browser !== 'chromium' && !quick;
    scenario(`${browser}: the check ${name}`, (stage) => body({ ...stage, browser }), { long });
  }
}

check('finds nothing wrong where nothing is, and gives a text to send', async ({ arrive, browser }) => {
  const here = await server('sqlite', {}, { open: true });
  const ivan = await arrive(browser, here, 'ivan');
  const found = await checked(ivan, here.url);
  for (const [step, { level }] of Object.entries(found)) if (step !== 'all') assert.equal(level ?? 'ok', 'ok', JSON.stringify(found));
  assert.equal(found.all, 'ok');
  await ivan.page.screenshot({ path: join(out, `check-${browser}.png`), fullPage: true });
  await ivan.page.evaluate(() => {
    // Kept here instead of in somebody's folder.
    URL.createObjectURL = (blob) => {
      window.saved_ = blob.text();
      return '#';
    };
    HTMLAnchorElement.prototype.click = () => {};
  });
  await ivan.click('check-download');
  const text = await ivan.page.evaluate(() => window.saved_);
  assert.match(text, /ok +turnTls/);
  assert.match(text, /turns:calls\.ringhall\.test/);
}, { quick: true });

check('names a microphone that is not allowed, and a camera', async ({ arrive }) => {
  const here = await server('sqlite');
  const ivan = await arrive('chromium-asking', here, 'ivan');
  await permission(ivan, 'microphone', 'denied');
  await permission(ivan, 'camera', 'denied');
  const found = await checked(ivan, here.url);
  names(found, 'mic', 'fault', 'device.mic.denied');
  names(found, 'camera', 'warning', 'device.camera.denied');
  assert.deepEqual(faults(found), ['mic']);
  await ivan.page.screenshot({ path: join(out, 'check-denied.png'), fullPage: true });
}, { only: 'chromium' });

check('names a machine without a camera', async ({ arrive }) => {
  const here = await server('sqlite');
  const ivan = await arrive('chromium-bare', here, 'ivan');
  const found = await checked(ivan, here.url);
  names(found, 'camera', 'warning', 'device.camera.missing');
  assert.deepEqual(faults(found), []);
}, { only: 'chromium' });

check('names an address that is not https', async ({ arrive, browser }) => {
  const here = await server('sqlite', { RINGHALL_TLS_MODE: 'off' }, { open: true, plain: true });
  const ivan = await arrive(browser, here, 'ivan', { script: () => (crypto.randomUUID ??= () => '00000000-0000-4000-8000-000000000000') });
  const found = await checked(ivan, here.url);
  names(found, 'page', 'fault', 'check.page.insecure');
  names(found, 'mic', 'fault', 'device.mic.insecure');
});

check('names a proxy that lets no WebSocket pass', async ({ arrive, browser, afterwards }) => {
  const here = await server('sqlite');
  const proxy = await BadProxy.before(here.port);
  afterwards(() => proxy.stop());
  const ivan = await arrive(browser, proxy, 'ivan');
  proxy.noSockets = true;
  const found = await checked(ivan, proxy.url);
  names(found, 'socket', 'fault', 'check.socket.refused');
  names(found, 'udp', 'skipped', 'check.needsSocket');
  assert.deepEqual(faults(found), ['socket']);
});

check('names a slow network', async ({ arrive, browser, afterwards }) => {
  const here = await server('sqlite');
  const proxy = await BadProxy.before(here.port);
  afterwards(() => proxy.stop());
  const ivan = await arrive(browser, proxy, 'ivan');
  await ivan.visit(`${proxy.url}/check`);
  proxy.rate = 60_000;
  const found = await checked(ivan, proxy.url);
  names(found, 'bandwidth', 'warning', 'check.bandwidth.low');
  assert.deepEqual(faults(found), []);
});

check('names blocked UDP, and the way that is left', async ({ arrive, browser }) => {
  const options = { RINGHALL_MEDIA_LISTEN: '127.0.0.1:0', RINGHALL_MEDIA_ADVERTISE: HOST };
  const here = await server('sqlite', options, { open: true });
  const ivan = await arrive(browser, here, 'ivan');
  const found = await checked(ivan, here.url);
  names(found, 'udp', 'warning', 'check.udp.blocked');
  names(found, 'turnTcp', 'ok', 'check.turn.ok');
  assert.equal(found.all, 'warning');
}, { quick: true });

check('names a server without a relay', async ({ arrive, browser }) => {
  const here = await server('sqlite', { RINGHALL_TURN_ENABLED: 'false' });
  const ivan = await arrive(browser, here, 'ivan');
  const found = await checked(ivan, here.url);
  names(found, 'turnUdp', 'fault', 'check.turn.untold.udp');
  assert.deepEqual(faults(found), ['turnUdp']);
});

check('names a server that takes no media by TCP', async ({ arrive, browser }) => {
  const here = await server('sqlite', { RINGHALL_MEDIA_TCP: 'false' });
  const ivan = await arrive(browser, here, 'ivan');
  const found = await checked(ivan, here.url);
  names(found, 'turnTcp', 'warning', 'check.turn.untold.tcp');
  names(found, 'udp', 'ok', 'check.udp.ok');
});

check('names a relay that refuses the password', async ({ arrive, browser }) => {
  const relay = await server('sqlite', {}, { open: true });
  const options = {
    RINGHALL_TURN_ENABLED: 'false',
    RINGHALL_TURN_EXTERNAL_URLS: `turn:${HOST}:${relay.port}?transport=tcp`,
    RINGHALL_TURN_EXTERNAL_SECRET: 'not the secret of that server',
  };
  const here = await server('sqlite', options);
  const ivan = await arrive(browser, here, 'ivan');
  const found = await checked(ivan, here.url);
  names(found, 'turnTcp', 'fault', 'check.turn.refused');
  names(found, 'tcp', 'ok', 'check.tcp.ok');
});

check('names a relay by TLS that is not there', async ({ arrive, browser }) => {
  const options = {
    RINGHALL_TURN_EXTERNAL_URLS: `turns:${HOST}:${await freePort(HOST)}?transport=tcp`,
    RINGHALL_TURN_EXTERNAL_SECRET: 'whatever',
  };
  const here = await server('sqlite', options);
  const ivan = await arrive(browser, here, 'ivan');
  const found = await checked(ivan, here.url);
  names(found, 'turnTls', 'warning', 'check.turn.unreached');
}, { quick: true });

check('names a server that is gone', async ({ arrive, browser, afterwards }) => {
  const here = await server('sqlite');
  const proxy = await BadProxy.before(here.port);
  afterwards(() => proxy.stop());
  const ivan = await arrive(browser, proxy, 'ivan');
  await ivan.visit(`${proxy.url}/check`);
  proxy.stop();
  await ivan.click('check-start');
  await ivan.sees('check-done', '[data-level="fault"]', 60_000);
  await ivan.sees('check-step', '[data-step="server"][data-key="check.server.gone"]');
});

check('names a sign-in that is over', async ({ arrive, browser }) => {
  const here = await server('sqlite');
  const ivan = await arrive(browser, here, 'ivan');
  await ivan.page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem('ringhall.session'));
    sessionStorage.setItem('ringhall.session', JSON.stringify({ ...session, token: 'over' }));
  });
  const found = await checked(ivan, here.url);
  names(found, 'socket', 'fault', 'check.socket.signedOut');
});
