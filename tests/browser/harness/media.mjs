// What really arrives, by the browser's own statistics. "Connected" proves nothing: frames are decoded, or they are not.
import { eventually } from './wait.mjs';

/** The receiver's inbound-rtp report of what `user` sends as `source` to this person; null while nothing is bound. */
async function inbound(person, user, source) {
  return person.page.evaluate(
    async (userId, source) => {
      const pc = window.ringhall.pc();
      const slot = window.ringhall.bindings().find((b) => b.userId === userId && b.source === source);
      const transceiver = slot && pc?.getTransceivers().find((t) => t.mid === slot.mid);
      if (!transceiver) return null;
      for (const report of (await transceiver.receiver.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        const { framesDecoded, totalAudioEnergy, packetsReceived, packetsLost, frameWidth, frameHeight } = report;
        return { mid: slot.mid, framesDecoded, totalAudioEnergy, packetsReceived, packetsLost, frameWidth, frameHeight };
      }
      return null;
    },
    user,
    source,
  );
}

/** Waits until `frames` more frames of this source have been decoded. */
export async function decodes(person, user, { source = 'camera', frames = 60, ms = 60_000 } = {}) {
  let base = null;
  return eventually(`${person.login} (${person.browser}) decodes ${frames} frames of the ${source} of ${user}`, async () => {
    const now = await inbound(person, user, source);
    if (!now) return null;
    // Another slot counts from another number.
    if (base === null || base.mid !== now.mid) base = { mid: now.mid, framesDecoded: now.framesDecoded ?? 0 };
    if (now.framesDecoded - base.framesDecoded >= frames) return now;
    throw new Error(`${JSON.stringify(now)} since ${JSON.stringify(base)}`);
  }, ms);
}

/** Waits until audio with energy keeps arriving: the energy grows three times in a row. */
export async function hears(person, user, { ms = 40_000 } = {}) {
  let last = null;
  let grown = 0;
  return eventually(`${person.login} (${person.browser}) receives audio with energy from ${user}`, async () => {
    const now = await inbound(person, user, 'mic');
    if (!now) return null;
    if (last && last.mid === now.mid && now.totalAudioEnergy > last.totalAudioEnergy) grown += 1;
    last = now;
    if (grown >= 3) return now;
    throw new Error(JSON.stringify(now));
  }, ms, 250);
}
