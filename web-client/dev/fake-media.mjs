// Runs in the page before its own script: a peer connection without a network, whose slots show drawn faces. For looks.
export function fakeMedia() {
  let seed = 0;
  const face = () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 400 });
    const g = canvas.getContext("2d");
    const hue = (seed++ * 67) % 360;
    const paint = () => {
      const back = g.createLinearGradient(0, 0, 640, 400);
      back.addColorStop(0, `hsl(${hue} 26% 58%)`);
      back.addColorStop(1, `hsl(${(hue + 50) % 360} 30% 28%)`);
      g.fillStyle = back;
      g.fillRect(0, 0, 640, 400);
      g.fillStyle = `hsl(${(hue + 190) % 360} 30% 30%)`;
      g.beginPath();
      g.ellipse(320, 420, 170, 150, 0, 0, 7);
      g.fill();
      g.fillStyle = `hsl(${18 + (hue % 20)} 46% ${50 + (hue % 26)}%)`;
      g.beginPath();
      g.ellipse(320, 190, 78, 98, 0, 0, 7);
      g.fill();
      g.fillStyle = `hsl(${hue % 40} 34% 18%)`;
      g.beginPath();
      g.ellipse(320, 132, 84, 56, 0, 3.1, 6.3);
      g.fill();
    };
    paint();
    setInterval(paint, 200);
    return canvas.captureStream(5).getVideoTracks()[0];
  };
  const silence = () => new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
  window.RTCPeerConnection = class extends EventTarget {
    connectionState = "new";
    signalingState = "stable";
    transceivers = [];
    addTransceiver(kind) {
      const transceiver = {
        mid: null,
        receiver: { track: kind === "video" ? face() : silence() },
        sender: {
          replaceTrack: async () => {},
          getParameters: () => ({ encodings: [] }),
          setParameters: async () => {},
        },
        setCodecPreferences() {},
      };
      this.transceivers.push(transceiver);
      return transceiver;
    }
    getTransceivers() {
      return this.transceivers;
    }
    createDataChannel() {}
    async createOffer() {
      return { type: "offer", sdp: "v=0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n" };
    }
    async setLocalDescription(description) {
      this.localDescription = description;
      this.transceivers.forEach((transceiver, i) => {
        transceiver.mid = String(i);
      });
    }
    async setRemoteDescription() {
      this.connectionState = "connected";
      this.dispatchEvent(new Event("connectionstatechange"));
    }
    async getStats() {
      return new Map([["t", { type: "transport", packetsReceived: Math.floor(performance.now()) }]]);
    }
    close() {}
  };
  navigator.mediaDevices.getUserMedia = async ({ video }) => new MediaStream([video ? face() : silence()]);
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
    const g = canvas.getContext("2d");
    g.fillStyle = "#fff";
    g.fillRect(0, 0, 1280, 720);
    g.fillStyle = "#1b6b58";
    for (let i = 0; i < 9; i++) g.fillRect(140 + i * 112, 560 - i * i * 5 - 40, 70, i * i * 5 + 40);
    g.font = "600 44px sans-serif";
    g.fillText("Q4: calls per week", 140, 110);
    return canvas.captureStream(5);
  };
}
