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

/** Ivan calls Maria with video; both see and hear each other. Says how long the first picture took from the click on "accept". */
export async function talkBothWays(t, ivan, maria, { direct, users }) {
  await ivan.openChat(direct);
  await ivan.call('video');
  await maria.sees('incoming-call');
  const accepted = Date.now();
  await maria.accept();
  await decodes(ivan, users.maria, { frames: 1 });
  t.diagnostic(`first frame ${Date.now() - accepted} ms after the click`);
  await Promise.all([
    decodes(ivan, users.maria),
    hears(ivan, users.maria),
    decodes(maria, users.ivan),
    hears(maria, users.ivan),
  ]);
}

/** The inbound-rtp report of a source as the browser gives it, with its codec; null while nothing is bound. */
export async function report(person, user, source) {
  return person.page.evaluate(
    async (userId, source) => {
      const pc = window.ringhall.pc();
      const slot = window.ringhall.bindings().find((b) => b.userId === userId && b.source === source);
      const transceiver = slot && pc?.getTransceivers().find((t) => t.mid === slot.mid);
      if (!transceiver) return null;
      const stats = await transceiver.receiver.getStats();
      const found = [...stats.values()].find((r) => r.type === 'inbound-rtp');
      return found && { ...found, codec: stats.get(found.codecId)?.mimeType?.toLowerCase() ?? null };
    },
    user,
    source,
  );
}

/** The codec in which this camera arrives, like `video/vp8`. */
export async function codecOf(person, user) {
  return (await report(person, user, 'camera'))?.codec ?? null;
}

/** Asks the server for this person's camera in this height, whatever the page's layout wants. */
export async function watch(person, callId, user, height) {
  await person.page.evaluate(
    async (callId, userId, height) => {
      const slot = window.ringhall.bindings().find((b) => b.userId === userId && b.source === 'camera');
      const slots = [{ mid: slot.mid, participant: userId, source: 'camera', height, fps: 0, priority: 0 }];
      await window.ringhall.client.request('intents', { callId, slots });
    },
    callId,
    user,
    height,
  );
}

/** Begins to note when frames of this person's picture are shown. */
export async function watchFrames(person, user) {
  await person.page.evaluate((userId) => {
    const tile = document.querySelector(`[data-testid="tile"][data-user-id="${userId}"][data-source="camera"]`);
    const video = tile.querySelector('video');
    const frames = { times: [], height: 0 };
    const note = (now, frame) => {
      frames.times.push(now);
      frames.height = frame.height;
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    window.frames_ = frames;
  }, user);
}

/** Since {@link watchFrames}: the longest and the usual time between two frames in ms, how many there were, and how high the last. */
export async function frameGaps(person) {
  return person.page.evaluate(() => {
    const { times, height } = window.frames_;
    const gaps = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
    return {
      longest: Math.round(gaps.at(-1) ?? 0),
      usual: Math.round(gaps[Math.floor(gaps.length / 2)] ?? 0),
      frames: times.length,
      height,
    };
  });
}

/** Which layers of the camera this browser encodes, by its own statistics; smallest first. */
export async function encoded(person) {
  return person.page.evaluate(async () => {
    const layers = [];
    for (const report of (await window.ringhall.pc().getStats()).values()) {
      if (report.type === 'outbound-rtp' && report.kind === 'video' && report.rid) layers.push(report);
    }
    return ['q', 'h', 'f'].flatMap((rid) => layers.filter((layer) => layer.rid === rid)).map((layer) => layer.active);
  });
}

/** The candidate pair that carries the media, with both candidates. */
export async function selectedPair(person) {
  return person.page.evaluate(async () => {
    const reports = [...(await window.ringhall.pc().getStats()).values()];
    const find = (id) => reports.find((report) => report.id === id);
    const chosen = reports.find((report) => report.type === 'transport')?.selectedCandidatePairId;
    // Firefox has no transport report; its pairs say which one is selected.
    const pair = find(chosen) ?? reports.find((report) => report.type === 'candidate-pair' && report.selected);
    return pair && { local: find(pair.localCandidateId), remote: find(pair.remoteCandidateId) };
  });
}

/**
 * Begins to note when packets of this person's voice arrive, whichever connection they come by, and what the page is told of its
 * network. By the machine's clock, which all browsers here share.
 */
export async function watchSound(person, user) {
  await person.page.evaluate((userId) => {
    const sound = { times: [Date.now()], events: [], last: null, busy: false };
    const note = ({ type }) => sound.events.push([type, Date.now()]);
    for (const type of ['online', 'offline']) addEventListener(type, note);
    navigator.connection?.addEventListener('change', note);
    setInterval(async () => {
      if (sound.busy) return;
      sound.busy = true;
      try {
        const pc = window.ringhall.pc();
        const slot = window.ringhall.bindings().find((b) => b.userId === userId && b.source === 'mic');
        const transceiver = slot && pc?.getTransceivers().find((t) => t.mid === slot.mid);
        const reports = transceiver ? [...(await transceiver.receiver.getStats()).values()] : [];
        const received = reports.find((report) => report.type === 'inbound-rtp')?.packetsReceived;
        if (received !== undefined && received !== sound.last) {
          sound.last = received;
          sound.times.push(Date.now());
        }
      } finally {
        sound.busy = false;
      }
    }, 25);
    window.sound_ = sound;
  }, user);
}

/** Since {@link watchSound}, or since this time: the longest time without a packet, in ms. */
export async function longestSilence(person, since = 0) {
  return person.page.evaluate((since) => {
    const times = [...window.sound_.times, Date.now()];
    return Math.max(...times.slice(1).map((time, i) => time - Math.max(times[i], since)));
  }, since);
}

/** Since {@link watchSound}: what the page was told of its network, like `online`, and when. */
export async function networkEvents(person) {
  return person.page.evaluate(() => window.sound_.events);
}

/** Waits until nothing more of somebody's voice arrives: its energy stands still three times in a row. */
export async function silent(person, user, { ms = 20_000 } = {}) {
  let last = null;
  let still = 0;
  return eventually(`${person.login} (${person.browser}) receives no sound from ${user}`, async () => {
    const now = (await inbound(person, user, 'mic'))?.totalAudioEnergy ?? 0;
    still = last !== null && now - last < 1e-6 ? still + 1 : 0;
    last = now;
    return still >= 3;
  }, ms, 250);
}
