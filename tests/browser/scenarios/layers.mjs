// Layers, codecs and voices: what is watched is what is encoded, a picture changes its size without stopping, a call uses a
// codec that everybody in it can decode.
import assert from 'node:assert/strict';

import { codecOf, decodes, encoded, frameGaps, hears, watch, watchFrames } from '../harness/media.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';
import { eventually, pause } from '../harness/wait.mjs';

const [first, second = first] = BROWSERS;
// Only Chromium publishes with scalabilityMode and tells which layers it encodes.
const chromium = BROWSERS.includes('chromium');

/** The longest that a picture may stand still while its layer changes, beside the frames' own distance, ms. */
const FROZEN = 200;

async function talk(here, arrive, caller, callee, before = {}) {
  const { direct, users } = await here.directory();
  const ivan = await arrive(caller, here, 'ivan', before);
  const maria = await arrive(callee, here, 'maria', before);
  await ivan.openChat(direct);
  await ivan.call('video');
  const { callId } = await maria.sees('incoming-call');
  await maria.accept();
  for (const person of [ivan, maria]) await person.inCall();
  await Promise.all([decodes(ivan, users.maria, { frames: 20 }), decodes(maria, users.ivan, { frames: 20 })]);
  return { ivan, maria, users, callId };
}

/** Ends the call, so that the chat is free for the next one. */
async function hangUp({ ivan, maria }) {
  await ivan.click('leave-call');
  await maria.sees('call-ended');
}

/** Lets maria look at ivan in these heights, one after the other, and says how long his picture stood still at most. */
async function changeSizes({ maria, users, callId }, sizes) {
  await watchFrames(maria, users.ivan);
  for (const [height, tall] of sizes) {
    await watch(maria, callId, users.ivan, height);
    await eventually(`ivan's picture is ${tall ? 'large' : 'small'}`, async () => {
      const { height: now } = await frameGaps(maria);
      return tall ? now > 200 : now > 0 && now <= 200;
    }, 30_000, 200);
    await pause(700);
  }
  return frameGaps(maria);
}

if (chromium) {
  scenario('a picture grows and shrinks without standing still, and a layer that nobody watches is not encoded', async ({ arrive, t }) => {
    const call = await talk(await server(DATABASES[0]), arrive, 'chromium', 'chromium');
    const { ivan, maria, users, callId } = call;
    const gaps = await changeSizes(call, [[90, false], [720, true], [90, false], [720, true]]);
    t.diagnostic(`VP8 simulcast: longest gap between frames ${gaps.longest} ms, usual ${gaps.usual} ms, ${gaps.frames} frames`);
    assert.ok(gaps.longest <= FROZEN + gaps.usual, JSON.stringify(gaps));

    await watch(maria, callId, users.ivan, 90);
    await eventually('the upper layers of ivan are switched off', async () => {
      const active = await encoded(ivan);
      return active.length === 3 && active.filter(Boolean).length === 1;
    }, 20_000, 250);
    await watch(maria, callId, users.ivan, 720);
    await eventually('and the largest on again', async () => (await encoded(ivan))[2] === true, 10_000, 100);
    await decodes(maria, users.ivan, { frames: 20 });

    await hangUp(call);
  });
}

// The page publishes three streams; here its camera is made one stream of three spatial layers.
const oneStream = () => {
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (kind, init) {
    const camera = init?.sendEncodings?.length === 3;
    return add.call(this, kind, camera ? { ...init, sendEncodings: [{ scalabilityMode: 'L3T3_KEY' }] } : init);
  };
};

// Who publishes, who looks, in which codec, and how the layers go. Firefox publishes three streams of VP8: it is shipped without
// an encoder or decoder for H264, and encodes no AV1. Of VP9 and AV1 it decodes what Chromium sends.
const SWITCHES = [
  ['chromium', 'chromium', 'h264', 'three streams'],
  ['chromium', 'chromium', 'vp9', 'one stream'],
  ['chromium', 'chromium', 'av1', 'one stream'],
];
// With Firefox it takes a machine with nothing else to do: it draws late otherwise, whatever came.
const MORE_SWITCHES = [
  ['chromium', 'chromium', 'av1', 'three streams'],
  ['chromium', 'firefox', 'vp8', 'three streams'],
  ['firefox', 'chromium', 'vp8', 'three streams'],
  ['firefox', 'firefox', 'vp8', 'three streams'],
  ['chromium', 'firefox', 'vp9', 'one stream'],
  ['chromium', 'firefox', 'av1', 'one stream'],
];

for (const [publisher, viewer, codec, how] of [...SWITCHES, ...(process.env.E2E_LONG === '1' ? MORE_SWITCHES : [])]) {
  if (!BROWSERS.includes(publisher) || !BROWSERS.includes(viewer)) continue;
  scenario(`layers of ${codec} in ${how} from ${publisher} are switched for ${viewer} without standing still`, async ({ arrive, t }) => {
    const here = await server(DATABASES[0], codec === 'vp8' ? {} : { RINGHALL_MEDIA_VIDEO_CODECS: `${codec},vp8` });
    const call = await talk(here, arrive, publisher, viewer, how === 'one stream' ? { script: oneStream } : {});
    // Only one encodes: what stands still for want of a processor says nothing.
    await call.maria.click('toggle-camera');
    await eventually(`${viewer} receives ${codec}`, async () => {
      const now = await codecOf(call.maria, call.users.ivan);
      if (now !== `video/${codec}`) throw new Error(now);
      return true;
    });
    const gaps = await changeSizes(call, [[90, false], [720, true], [90, false], [720, true]]);
    t.diagnostic(`${codec}, ${how}: longest gap between frames ${gaps.longest} ms, usual ${gaps.usual} ms, ${gaps.frames} frames`);
    assert.ok(gaps.longest <= FROZEN + gaps.usual, JSON.stringify(gaps));
    await hangUp(call);
  });
}

for (const codec of ['vp9', 'h264', 'av1']) {
  scenario(`a call prefers ${codec} and uses it where both browsers can`, async ({ arrive, t }) => {
    const here = await server(DATABASES[0], { RINGHALL_MEDIA_VIDEO_CODECS: `${codec},vp8` });
    const { ivan, maria, users } = await talk(here, arrive, first, second);
    const knows = (person) =>
      person.page.evaluate((mime) => {
        const has = (kind) => kind.getCapabilities('video').codecs.some((c) => c.mimeType.toLowerCase() === mime);
        return { sends: has(RTCRtpSender), receives: has(RTCRtpReceiver) };
      }, `video/${codec}`);
    const [one, other] = [await knows(ivan), await knows(maria)];
    const agreed = one.receives && other.receives;
    for (const [viewer, publisher, sends] of [[maria, ivan, one.sends], [ivan, maria, other.sends]]) {
      const expected = agreed && sends ? `video/${codec}` : 'video/vp8';
      await eventually(`${viewer.browser} receives ${expected} from ${publisher.browser}`, async () => {
        const now = await codecOf(viewer, users[publisher.login]);
        if (now !== expected) throw new Error(now);
        return true;
      });
      const { frameHeight } = await decodes(viewer, users[publisher.login], { frames: 20 });
      t.diagnostic(`${publisher.browser} to ${viewer.browser}: ${expected}, ${frameHeight} lines`);
    }
    await hangUp({ ivan, maria });
  });
}

scenario('only the loudest are forwarded', async ({ arrive }) => {
  const here = await server(DATABASES[0], { RINGHALL_MEDIA_SPEAKERS: '1', RINGHALL_CALLS_RING_MS: '120000' });
  const { group, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  const sergey = await arrive(first, here, 'sergey');
  await ivan.openChat(group);
  await ivan.call('audio');
  await maria.sees('incoming-call');
  await sergey.sees('incoming-call');
  await maria.accept();
  await sergey.accept();
  const everybody = [ivan, maria, sergey];
  for (const person of everybody) await person.inCall();
  for (const person of everybody) {
    const voices = await eventually(`${person.login} gets one voice of two`, async () => {
      const bindings = await person.page.evaluate(() => window.ringhall.bindings());
      const voices = bindings.filter((b) => b.source === 'mic');
      return voices.length === 1 && voices;
    });
    await hears(person, voices[0].userId);
  }
  await ivan.click('end-call');
  for (const person of everybody) await person.sees('call-ended');
});
