// What a person sees and hears of another one during a while: frames that are shown, time in which the picture stood still, sound
// that was made up because it did not come, and what arrived on the wire.
import { watchFrames } from './media.mjs';
import { eventually, pause } from './wait.mjs';

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

/** Layer, or why it is paused; frames that came, were decoded, left out; key frames; lost, asked for again, pictures asked for. */
const inShort = ({ layer, reason, ...stats }) => {
  const frames = `${stats.framesReceived ?? '?'}/${stats.framesDecoded}/${stats.framesDropped ?? '?'} (${stats.keyFramesDecoded ?? '?'})`;
  return `${reason ?? `layer ${layer}`}: ${frames}, ${stats.packetsLost}/${stats.nackCount}/${stats.pliCount}, ${Math.round((stats.totalDecodeTime ?? 0) * 1e3)} ms`;
};

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

/**
 * What this person's browser makes of its camera: `layers` by rid with frames/s, kbit/s that the encoder is given and the browser's
 * reason for less, `wayOut` its own estimate in kbit/s, and all of it `inWords`.
 */
export async function sends(person) {
  const { camera, layers, wayOut } = await person.page.evaluate(async () => {
    const reports = [...(await window.ringhall.pc().getStats()).values()];
    const camera = reports.find((report) => report.type === 'media-source' && report.kind === 'video');
    const layers = reports.filter((report) => report.type === 'outbound-rtp' && report.kind === 'video' && report.rid);
    const pair = reports.find((report) => report.type === 'candidate-pair' && report.nominated);
    const of = ({ rid, framesPerSecond, targetBitrate, qualityLimitationReason }) => [
      rid,
      { fps: framesPerSecond ?? 0, kbps: Math.round((targetBitrate ?? 0) / 1e3), limited: qualityLimitationReason },
    ];
    const wayOut = Math.round((pair?.availableOutgoingBitrate ?? 0) / 1e3);
    return { camera: camera?.framesPerSecond ?? 0, layers: Object.fromEntries(layers.map(of)), wayOut };
  });
  const each = Object.entries(layers).map(([rid, { fps, kbps, limited }]) => `${rid} ${fps} frames/s, ${kbps} kbit/s (${limited})`);
  return { layers, wayOut, inWords: `camera ${camera} frames/s; ${each.join(', ')}; way out ${wayOut} kbit/s` };
}

export const large = (lines) => lines >= 400;
export const small = (lines) => lines > 0 && lines <= 300;

/** Waits until this person's picture of `user` has a height that `fits`, and gives it. */
export async function height(person, user, what, fits, ms = 40_000) {
  return eventually(`${person.login} (${person.browser}) sees a picture that is ${what}`, async () => {
    const { height: now } = await perceive(person, user, 0.5);
    if (fits(now)) return now;
    throw new Error(`${now} lines`);
  }, ms);
}

/**
 * Waits until this person's browser trusts its own way out with the large layer. Chromium begins at 300 kbit/s, and while other programs
 * use the processors it may take many seconds to believe more; until then it leaves out most of the large frames, which is not what
 * a viewer's link is to be judged by.
 */
export async function sendsAll(t, person) {
  const begun = Date.now();
  await eventually(`the browser of ${person.login} gives the large layer what it may have`, async () => {
    const now = await sends(person);
    if (now.layers.f?.kbps >= 1_400) return now;
    throw new Error(now.inWords);
  }, 60_000);
  t.diagnostic(`the browser of ${person.login} found its way out ${((Date.now() - begun) / 1e3).toFixed(1)} s after the first pictures`);
}
