// Measures how long a person waits: from the click on "accept" to the first decoded frame of the other, and from the click on
// "join" likewise. Chromium, loopback. Prints percentiles; `tools/bench` runs it. N=20 rounds unless FIRST_FRAME_ROUNDS says else.
import { closeBrowsers } from './harness/browsers.mjs';
import { Person } from './harness/person.mjs';
import { Server } from './harness/server.mjs';
import { eventually } from './harness/wait.mjs';

const rounds = Number(process.env.FIRST_FRAME_ROUNDS ?? 20);

/** Stamps the click and the first frame shown of anybody else, both on the page's own clock. */
const STOPWATCH = `(() => {
  window.stopwatch = { click: null, frame: null };
  addEventListener('click', (event) => {
    if (event.target.closest('[data-testid="incoming-accept"], [data-testid="join-call"]'))
      window.stopwatch = { click: performance.now(), frame: null };
  }, true);
  const watched = new WeakSet();
  const watch = () => {
    for (const video of document.querySelectorAll('[data-testid="tile"]:not([data-self="true"]) video')) {
      if (watched.has(video)) continue;
      watched.add(video);
      video.requestVideoFrameCallback((now) => { window.stopwatch.frame ??= now; });
    }
  };
  new MutationObserver(watch).observe(document, { childList: true, subtree: true });
})()`;

async function arrive(server, login) {
  const person = await Person.arrive('chromium', server, login);
  await person.page.evaluateOnNewDocument(STOPWATCH);
  await person.page.evaluate(STOPWATCH);
  return person;
}

function print(what, samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  console.log(`${what}: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, max ${Math.round(sorted.at(-1))} ms (${sorted.length} calls)`);
}

const server = await Server.start({ database: 'sqlite', name: 'first-frame' });
try {
  const { direct, group } = await server.directory();
  const ivan = await arrive(server, 'ivan');
  const maria = await arrive(server, 'maria');
  const waited = async (person) =>
    eventually(`${person.login} sees a first frame`, () =>
      person.page.evaluate(() => {
        const { click, frame } = window.stopwatch;
        return click !== null && frame !== null && frame - click;
      }),
    );
  const hangUp = async (how) => {
    await ivan.click(how);
    for (const person of [ivan, maria]) await person.seesNo('call-view');
  };

  const accepted = [];
  await ivan.openChat(direct);
  for (let round = 0; round < rounds; round += 1) {
    await ivan.call('video');
    await maria.sees('incoming-call');
    await maria.accept();
    accepted.push(await waited(maria));
    await hangUp('leave-call');
  }
  print('click on accept to the first decoded frame', accepted);

  const joined = [];
  const sergey = await arrive(server, 'sergey');
  await ivan.openChat(group);
  await sergey.openChat(group);
  await ivan.call('video');
  for (const person of [maria, sergey]) await person.sees('incoming-call');
  await maria.accept();
  await sergey.click('incoming-decline');
  await ivan.inCall();
  for (let round = 0; round < rounds; round += 1) {
    await sergey.click('join-call');
    joined.push(await waited(sergey));
    await sergey.click('leave-call');
    await sergey.seesNo('call-view');
  }
  print('click on join to the first decoded frame', joined);
} finally {
  await closeBrowsers();
  await server.stop();
}
