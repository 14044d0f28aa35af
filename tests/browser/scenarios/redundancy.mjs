// Redundant audio (RED, RFC 2198): Chromium sends it and gets it as it is, Firefox gets its newest block as plain Opus.
import assert from 'node:assert/strict';

import { hears, report } from '../harness/media.mjs';
import { BadNetwork } from '../harness/proxy.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';
import { eventually, pause } from '../harness/wait.mjs';

/**
 * Runs before the page's own scripts: counts the encoded frames of sound that the browser sends and gets by their codec, as they
 * are on the network. getStats only names what is inside (Opus), whatever is around it. Chromium's own interface.
 */
function countFrames() {
  const frames = { sent: {}, got: {} };
  window.frames_ = frames;
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(configuration) {
      super({ ...configuration, encodedInsertableStreams: true });
    }
    addTransceiver(kind, init) {
      const transceiver = super.addTransceiver(kind, init);
      const way = init.direction === 'sendonly' ? 'sent' : 'got';
      const { readable, writable } = (way === 'sent' ? transceiver.sender : transceiver.receiver).createEncodedStreams();
      const count = new TransformStream({
        transform(frame, out) {
          const { mimeType } = frame.getMetadata();
          if (kind === 'audio') frames[way][mimeType] = (frames[way][mimeType] ?? 0) + 1;
          out.enqueue(frame);
        },
      });
      readable.pipeThrough(count).pipeTo(writable).catch(() => {});
      return transceiver;
    }
  };
}

/** Waits until `count` more frames went one way, and says in which codecs all of them were. */
async function frames(person, way, count) {
  const now = () => person.page.evaluate((w) => window.frames_[w], way);
  const sum = (all) => Object.values(all).reduce((a, b) => a + b, 0);
  const before = sum(await now());
  const after = await eventually(`${count} frames ${way} by ${person.login}`, async () => {
    const all = await now();
    return sum(all) - before >= count && all;
  });
  return Object.keys(after);
}

if (BROWSERS.includes('chromium')) {
  scenario('redundant audio passes between two Chromiums and is plain Opus for Firefox', async ({ arrive }) => {
    const here = await server(DATABASES[0], { RINGHALL_CALLS_RING_MS: '120000' });
    const { group, users } = await here.directory();
    const ivan = await arrive('chromium', here, 'ivan', { script: countFrames });
    const sergey = await arrive('chromium', here, 'sergey', { script: countFrames });
    const others = [sergey];
    if (BROWSERS.includes('firefox')) others.push(await arrive('firefox', here, 'maria'));
    await ivan.openChat(group);
    await ivan.call('audio');
    for (const person of others) await person.sees('incoming-call');
    for (const person of others) await person.accept();
    for (const person of [ivan, ...others]) await person.inCall();
    for (const person of others) {
      await hears(person, users.ivan);
      await hears(ivan, users[person.login]);
    }
    assert.deepEqual(await frames(ivan, 'sent', 50), ['audio/red']);
    const [, maria] = others;
    // What Firefox sends is Opus; it is not made redundant on the way.
    assert.deepEqual((await frames(sergey, 'got', 50)).sort(), maria ? ['audio/opus', 'audio/red'] : ['audio/red']);
    if (maria) assert.equal((await report(maria, users.ivan, 'mic')).codec, 'audio/opus');
    await ivan.click('end-call');
    for (const person of others) await person.sees('call-ended');
  });
}

/** How much of ivan's voice maria has to make up when one packet of ten is lost on the way to her, redundant or not. */
async function concealed({ arrive, afterwards, t }, redundant) {
  const here = await server('sqlite', { RINGHALL_MEDIA_LISTEN: 'known', RINGHALL_MEDIA_AUDIO_REDUNDANCY: String(redundant) });
  const network = await BadNetwork.start(here);
  afterwards(() => network.stop());
  const { direct, users } = await here.directory();
  const ivan = await arrive('chromium', here, 'ivan');
  const maria = await arrive('chromium', here, 'maria', network.way);
  await ivan.openChat(direct);
  await ivan.call('audio');
  await maria.sees('incoming-call');
  await maria.accept();
  for (const person of [ivan, maria]) await person.inCall();
  await hears(maria, users.ivan);
  await network.change({ down: { loss_percent: 10 } });
  await pause(2_000);
  const before = await report(maria, users.ivan, 'mic');
  await pause(20_000); // a measuring window
  const after = await report(maria, users.ivan, 'mic');
  const part = (after.concealedSamples - before.concealedSamples) / (after.totalSamplesReceived - before.totalSamplesReceived);
  t.diagnostic(`10 % of packets lost, ${redundant ? 'redundant' : 'plain'}: ${(part * 100).toFixed(1)} % of the sound made up`);
  await ivan.click('leave-call');
  await maria.sees('call-ended');
  return part;
}

if (BROWSERS.includes('chromium') && process.env.E2E_LONG === '1') {
  scenario('redundant audio fills most of what is lost', async (stage) => {
    const [plain, redundant] = [await concealed(stage, false), await concealed(stage, true)];
    assert.ok(plain > 0.05 && redundant < plain / 2, `${plain} without, ${redundant} with`);
  });
}
