// One person with several tabs: all of them ring, one of them sounds, an answer stops all, and the call can move.
import assert from 'node:assert/strict';

import { decodes, hears } from '../harness/media.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';
import { eventually } from '../harness/wait.mjs';

const [first, second = first] = BROWSERS;

/** Tabs stop within this time of the answer; it is the product's promise. */
const STOP_MS = 100;

/** Notes in the page, by the clock of the machine, when the ring is gone and that nothing sounds then. */
const WATCH_RING = `(() => {
  window.ringWatch = { answered: null, gone: null, sounded: null };
  window.ringhall.client.on('call', (call) => { if (call) window.ringWatch.answered = Date.now(); });
  new MutationObserver(() => {
    if (window.ringWatch.gone || document.querySelector('[data-testid="incoming-call"]')) return;
    window.ringWatch.gone = Date.now();
    window.ringWatch.sounded = window.ringhall.ringing();
  }).observe(document, { childList: true, subtree: true });
})()`;

for (const browser of BROWSERS) {
  scenario(`three tabs of one person ring in ${browser}, one sounds, and an answer stops all of them at once`, async ({ t, arrive, people }) => {
    const here = await server('sqlite');
    const { direct, users } = await here.directory();
    const ivan = await arrive(second, here, 'ivan');
    const maria = await arrive(browser, here, 'maria');
    const tabs = [maria, await maria.anotherTab(here, people), await maria.anotherTab(here, people)];

    await ivan.openChat(direct);
    await ivan.call('video');
    for (const tab of tabs) await tab.sees('incoming-call');
    await eventually('exactly one tab sounds', async () => (await sounding(tabs)) === 1);
    for (const tab of tabs) await tab.page.evaluate(WATCH_RING);

    const [, answering] = tabs;
    const others = tabs.filter((tab) => tab !== answering);
    await answering.click('incoming-accept');
    for (const tab of tabs) await tab.seesNo('incoming-call');
    await answering.inCall();
    assert.equal(await sounding(tabs), 0);
    const { answered } = await answering.page.evaluate(() => window.ringWatch);
    for (const tab of others) {
      const { gone, sounded } = await tab.page.evaluate(() => window.ringWatch);
      t.diagnostic(`a tab stopped ${gone - answered} ms after the answer`);
      assert.ok(gone - answered < STOP_MS, `a tab stopped ${gone - answered} ms after the answer`);
      assert.equal(sounded, false, 'the dialog is gone but the ringtone is not');
      assert.equal(await tab.count('call-view'), 0);
    }
    await decodes(answering, users.ivan, { frames: 10 });
    await ivan.click('leave-call');
    await answering.seesNo('call-view');
  });
}

async function sounding(tabs) {
  const each = await Promise.all(tabs.map((tab) => tab.page.evaluate(() => window.ringhall.ringing())));
  return each.filter(Boolean).length;
}

scenario('a call moves to another tab and leaves the first one', async ({ arrive, people }) => {
  const here = await server(DATABASES[0]);
  const { direct, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  await ivan.openChat(direct);
  await ivan.call('video');
  await maria.sees('incoming-call');
  await maria.accept();
  await ivan.inCall();
  const { callId } = await maria.inCall();

  const desk = await maria.anotherTab(here, people);
  await desk.openChat(direct);
  const { text } = await desk.sees('join-call');
  assert.match(text, /вкладк|tab/);
  await desk.click('join-call');
  assert.equal((await desk.inCall()).callId, callId);
  await maria.seesNo('call-view');
  await maria.sees('call-ended');
  await Promise.all([decodes(desk, users.ivan, { frames: 20 }), decodes(ivan, users.maria, { frames: 20 }), hears(ivan, users.maria)]);
  assert.equal(await ivan.count('tile', '[data-source="camera"]'), 2);

  // And back into the call after a reload: the same tab, the same seat.
  await desk.page.reload({ waitUntil: 'load' });
  await desk.openChat(direct);
  await desk.click('join-call');
  assert.equal((await desk.inCall()).callId, callId);
  await decodes(desk, users.ivan, { frames: 20 });
  await ivan.click('leave-call');
  await desk.seesNo('call-view');
});
