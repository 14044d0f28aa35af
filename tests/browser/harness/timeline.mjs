// Where the time goes between a click and the first picture: what the page and its browser did, and when. For people who look
// into it; E2E_TIMELINE=1 prints it.

/** To be run in a page before its own scripts: notes the steps of every connection that it makes. */
export const TIMELINE = () => {
  const steps = [];
  const note = (what) => steps.push([Date.now(), what]);
  window.timeline_ = { steps, note };
  addEventListener(
    'click',
    ({ target }) => {
      const name = target.closest('[data-testid]')?.dataset.testid;
      if (name) note(`click on ${name}`);
    },
    true,
  );
  for (const type of ['online', 'offline']) addEventListener(type, () => note(type));
  navigator.connection?.addEventListener('change', () => note('another connection'));
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const { op } = JSON.parse(data);
    if (op) note(`sends ${op}`);
    return send.call(this, data);
  };
  const Socket = WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...how) {
      super(...how);
      note('a WebSocket');
      this.addEventListener('close', ({ code }) => note(`a WebSocket closes with ${code}`));
      this.addEventListener('message', ({ data }) => {
        const { op } = JSON.parse(data);
        if (op === 'media_answer' || op === 'bindings') note(`receives ${op}`);
      });
    }
  };
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(configuration) {
      super(configuration);
      note('a connection');
      this.addEventListener('icecandidate', ({ candidate }) => note(`candidate ${candidate?.candidate || 'end'}`));
      this.addEventListener('icegatheringstatechange', () => note(`gathering ${this.iceGatheringState}`));
      this.addEventListener('iceconnectionstatechange', () => note(`ice ${this.iceConnectionState}`));
      this.addEventListener('connectionstatechange', () => note(`connection ${this.connectionState}`));
      const seen = new Map();
      const once = (key, what) => {
        if (seen.get(key) === what) return;
        seen.set(key, what);
        note(`${key}: ${what}`);
      };
      const look = async () => {
        if (this.connectionState === 'closed') return;
        const reports = await this.getStats();
        for (const report of reports.values()) {
          if (report.type === 'candidate-pair') {
            const [local, remote] = [reports.get(report.localCandidateId), reports.get(report.remoteCandidateId)];
            const name = (c) => c && `${c.candidateType} ${c.relayProtocol ?? ''}${c.protocol} ${c.address}:${c.port}`;
            const { state, nominated, requestsSent, responsesReceived } = report;
            const asked = requestsSent === undefined ? '' : `, asked ${requestsSent}, answered ${responsesReceived}`;
            once(`pair ${name(local)} -> ${name(remote)}`, `${state}${nominated ? ', nominated' : ''}${asked}`);
          } else if (report.type === 'transport') {
            if (report.dtlsState) once('dtls', report.dtlsState);
            const pair = reports.get(report.selectedCandidatePairId);
            if (pair) once('goes by', reports.get(pair.localCandidateId)?.address ?? pair.id);
          } else if (report.type === 'inbound-rtp' && report.kind === 'video') {
            if (report.packetsReceived > 0) once(`video ${report.mid ?? report.id}`, 'a packet');
            if (report.framesDecoded > 0) once(`video of ${report.mid ?? report.id}`, 'a frame');
          }
        }
        setTimeout(look, 20);
      };
      look();
    }
    async setLocalDescription(...how) {
      note('sets its offer');
      await super.setLocalDescription(...how);
      note('its offer is set');
    }
    async setRemoteDescription(...how) {
      note('takes the answer');
      await super.setRemoteDescription(...how);
      note('the answer is taken');
    }
  };
};

/** When the page did something for the first time since then (by `Date.now()`), as a part of what it noted; null: not yet. */
export async function since(person, at, what) {
  return person.page.evaluate(
    (at, what) => window.timeline_.steps.find(([when, step]) => when >= at && step.startsWith(what))?.[0] ?? null,
    at,
    what,
  );
}

/** The steps since 2 s before that time, one a line, in ms from it. */
export async function timeline(person, begun) {
  const steps = await person.page.evaluate(() => window.timeline_.steps);
  const late = steps.filter(([at]) => at >= begun - 2_000);
  return late.map(([at, what]) => `${String(at - begun).padStart(7)} ${what}`).join('\n');
}
