// What a person sees and hears of another one during a while: frames that are shown, time in which the picture stood still, sound
// that was made up because it did not come, and what arrived on the wire.
import { watchFrames } from './media.mjs';
import { pause } from './wait.mjs';

/** Shorter gaps than this are not called a freeze, ms. */
const FREEZE = 200;

/** The receivers' counters for somebody's camera and microphone. */
async function counters(person, user) {
  return person.page.evaluate(async (userId) => {
    const of = async (source) => {
      const slot = window.ringhall.bindings().find((b) => b.userId === userId && b.source === source);
      const transceiver = slot && window.ringhall.pc()?.getTransceivers().find((t) => t.mid === slot.mid);
      if (!transceiver) return {};
      const stats = [...(await transceiver.receiver.getStats()).values()];
      const { reason, layer } = slot;
      return { ...stats.find((report) => report.type === 'inbound-rtp'), mid: slot.mid, reason, layer };
    };
    let bytes = 0;
    for (const report of (await window.ringhall.pc().getStats()).values()) {
      if (report.type === 'inbound-rtp') bytes += (report.bytesReceived ?? 0) + (report.headerBytesReceived ?? 0);
    }
    return { at: performance.now(), camera: await of('camera'), mic: await of('mic'), bytes };
  }, user);
}

/** Looks and listens for `seconds`, a measuring window and not a wait for something. */
export async function perceive(person, user, seconds) {
  await watchFrames(person, user);
  const before = await counters(person, user);
  const trace = [];
  let after = before;
  while (after.at - before.at < seconds * 1_000) {
    await pause(Math.min(500, seconds * 1_000));
    after = await counters(person, user);
    trace.push(inShort(after.camera));
  }
  const shown = await person.page.evaluate(() => window.frames_.times);
  const frames = [before.at, ...shown.filter((time) => time > before.at && time < after.at), after.at];
  const gaps = frames.slice(1).map((time, i) => time - frames[i]).sort((a, b) => a - b);
  const usual = gaps[Math.floor(gaps.length / 2)];
  const frozen = gaps.filter((gap) => gap > Math.max(FREEZE, 3 * Math.min(usual, FREEZE))).reduce((sum, gap) => sum + gap, 0);
  const time = after.at - before.at;
  const grown = (source, name) => (after[source][name] ?? 0) - (before[source][name] ?? 0);
  const samples = grown('mic', 'totalSamplesReceived');
  return {
    fps: round(((frames.length - 2) * 1_000) / time),
    frozen: round(frozen / time, 3),
    longest: Math.round(gaps.at(-1)),
    usual: Math.round(usual),
    /** Part of the sound that was made up, silence that nobody sent left out. */
    concealed: round((grown('mic', 'concealedSamples') - grown('mic', 'silentConcealedSamples')) / Math.max(samples, 1), 3),
    heard: samples > 0 && grown('mic', 'totalAudioEnergy') > 0,
    height: after.camera.frameHeight ?? 0,
    /** What the browser counted, RTP headers included; IP, UDP and SRTP come on top. */
    kbps: Math.round(((after.bytes - before.bytes) * 8) / time),
    /** Every half second what the camera's receiver had counted, for the reader of a failure. */
    trace: trace.join(' | '),
  };
}

const round = (value, digits = 1) => Number(value.toFixed(digits));

/** Layer, or why it is paused; frames, key frames of them; lost, asked for again, pictures asked for. */
const inShort = ({ layer, reason, framesDecoded, keyFramesDecoded, packetsLost, nackCount, pliCount }) =>
  `${reason ?? `layer ${layer}`}: ${framesDecoded} (${keyFramesDecoded}), ${packetsLost}/${nackCount}/${pliCount}`;

/** The percepts in a line. */
export const inWords = (seen) =>
  `${seen.height} lines, ${seen.fps} frames/s, longest gap ${seen.longest} ms, ${(seen.frozen * 100).toFixed(1)} % frozen, ` +
  `${(seen.concealed * 100).toFixed(1)} % of the sound concealed, ${seen.kbps} kbit/s`;

/** What the page says of the connection: `{ score, reason, text }`. */
export async function quality(person) {
  return person.page.evaluate(() => {
    const shown = document.querySelector('[data-testid="quality"]');
    return shown && { score: Number(shown.dataset.score), reason: shown.dataset.reason, text: shown.textContent };
  });
}
