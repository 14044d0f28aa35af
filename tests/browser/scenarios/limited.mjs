// A device that cannot keep up with its own picture: its owner and the others are told, on the tile it is about.
import assert from 'node:assert/strict';

import { decodes } from '../harness/media.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

/** No processor here can be made slow at will: what the browser says of it is replaced, and only that. */
const SLOW_DEVICE = () => {
  const original = RTCRtpSender.prototype.getStats;
  RTCRtpSender.prototype.getStats = async function () {
    const slow = (report) =>
      report.type === 'outbound-rtp' && report.kind === 'video' && window.slow ? { ...report, qualityLimitationReason: 'cpu' } : report;
    return new Map([...(await original.call(this)).entries()].map(([id, report]) => [id, slow(report)]));
  };
};

scenario('a device that cannot keep up is marked on its tile, for its owner and for the others', async ({ arrive }) => {
  const here = await server(DATABASES[0]);
  const { direct, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan', { scripts: [SLOW_DEVICE] });
  const maria = await arrive(second, here, 'maria');
  await ivan.openChat(direct);
  await ivan.call('video');
  await maria.accept();
  for (const person of [ivan, maria]) await person.inCall();
  await decodes(maria, users.ivan, { frames: 10 });
  const limited = (user) => `[data-user-id="${user}"] [data-testid="tile-quality"][data-reason="cpu"]`;
  assert.equal(await maria.page.$(limited(users.ivan)), null);
  await ivan.page.evaluate(() => {
    window.slow = true;
  });
  for (const person of [ivan, maria]) await person.page.waitForSelector(limited(users.ivan), { timeout: 30_000 });
  const words = await maria.page.$eval(limited(users.ivan), (mark) => mark.textContent);
  assert.match(words, /Иван/);
  assert.equal(await ivan.page.$(limited(users.maria)), null, 'of nobody else');
  await ivan.page.evaluate(() => {
    window.slow = false;
  });
  for (const person of [ivan, maria]) {
    await person.page.waitForFunction((selector) => !document.querySelector(selector), { timeout: 30_000 }, limited(users.ivan));
  }
  await ivan.click('leave-call');
  await maria.sees('call-ended');
});
