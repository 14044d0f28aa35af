// Measures how long a person waits: from the click on "accept" to the first decoded frame of the other, and from the click on
// "join" likewise. Chromium, loopback. Prints percentiles; `tools/bench` runs it. N=20 rounds unless FIRST_FRAME_ROUNDS says else.
import { closeBrowsers } from './harness/browsers.mjs';
import { Person } from './harness/person.mjs';
import { Server } from './harness/server.mjs';
import { eventually } from './harness/wait.mjs';

const rounds = Number(process.env.FIRST_FRAME_ROUNDS ?? 20);

/**
 * Stamps the click and the first frame shown of anybody else, both on the page's own clock, and what lies between them: the
 * offer sent, the answer received, ICE and DTLS up, the first packet of a picture.
 */
const STOPWATCH = `(() => {
  if (window.stopwatch) return;
  window.stopwatch = { click: null, frame: null };
  const stamp = (name) => { window.stopwatch[name] ??= performance.now(); };
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (!this.watched) {
      this.watched = true;
      this.addEventListener('message', ({ data: text }) => String(text).includes('"op":"media_answer"') && stamp('answer'));
    }
    if (String(data).includes('"op":"media_offer"')) stamp('offer');
    return send.call(this, data);
  };
  const accept = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function (...args) {
    this.addEventListener('connectionstatechange', () => this.connectionState === 'connected' && stamp('connected'));
    return accept.apply(this, args).then((done) => { stamp('applied'); return done; });
  };
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

const STEPS = ['offer', 'answer', 'applied', 'connected', 'frame'];
const parts = { accept: [], join: [] };

/** The median time of each step since the one before it. */
function printParts(what, rows) {
  const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
  const text = STEPS.map((step, i) => {
    const from = i === 0 ? 'click' : STEPS[i - 1];
    return `${step} +${Math.round(median(rows.filter((row) => row[step] && row[from]).map((row) => row[step] - row[from])))} ms`;
  });
  console.log(`${what}, medians of the steps: ${text.join(', ')}`);
}

function print(what, samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  console.log(`${what}: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p95 ${at(0.95)} ms, max ${Math.round(sorted.at(-1))} ms (${sorted.length} calls)`);
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
    parts.accept.push(await maria.page.evaluate(() => ({ ...window.stopwatch })));
    await hangUp('leave-call');
  }
  print('click on accept to the first decoded frame', accepted);
  printParts('accept', parts.accept);

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
    parts.join.push(await sergey.page.evaluate(() => ({ ...window.stopwatch })));
    await sergey.click('leave-call');
    await sergey.seesNo('call-view');
  }
  print('click on join to the first decoded frame', joined);
  printParts('join', parts.join);
} finally {
  await closeBrowsers();
  await server.stop();
}
