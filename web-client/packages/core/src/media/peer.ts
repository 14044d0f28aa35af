import type { IceServer, MediaSource, MediaWay, VideoCodec } from "../protocol/index.ts";
import { DataChannels } from "./data.ts";
import type { LinkAnswer, LinkState, MediaLink, Offer, Slot } from "./link.ts";
import { firstPool } from "./pool.ts";
import { addSender, applyLayers, encodingsFor, trimCodecs } from "./publish.ts";
import { type IceCredentials, iceCredentials, withIceCredentials } from "./sdp.ts";
import { heldBack } from "./ways.ts";

/**
 * How long candidates that failed lately wait for the others: until those are being checked. No longer, because relayed
 * candidates have no others to be paired with.
 */
const HELD_BACK_MS = 400;

const isAudio = (source: MediaSource) => source === "mic" || source === "screenAudio";

/** The browser's RTCPeerConnection, with the fixed m-lines that protocol.md describes. */
export class PeerLink implements MediaLink {
  readonly pc: RTCPeerConnection;
  readonly data: DataChannels;
  readonly received = new Map<string, number>();
  #senders = new Map<MediaSource, RTCRtpTransceiver>();
  #receivers: Array<{ kind: MediaSource; transceiver: RTCRtpTransceiver }> = [];
  #slots: Slot[] = [];
  #answer = "";
  /** Parameters are read, changed and written; two such changes at once would undo each other. */
  #layers: Promise<void> = Promise.resolve();

  constructor(
    ice: readonly IceServer[],
    onState: (state: LinkState) => void,
    cameras: number,
    private readonly codecs: readonly VideoCodec[] = ["vp8"],
    private readonly ways: readonly MediaWay[] = [],
  ) {
    this.pc = new RTCPeerConnection({ iceServers: [...ice], bundlePolicy: "max-bundle" });
    this.pc.addEventListener("connectionstatechange", () => {
      const state = this.pc.connectionState;
      if (state === "connected" || state === "disconnected" || state === "failed") onState(state);
      else if (state === "connecting" || state === "new") onState("connecting");
    });
    for (const source of ["mic", "camera", "screen", "screenAudio"] as const) this.#publish(source);
    for (const kind of firstPool(cameras)) this.#receive(kind);
    this.data = new DataChannels(this.pc);
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  async offer(): Promise<Offer> {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const mids: Record<string, MediaSource> = {};
    for (const [source, { mid }] of this.#senders) if (mid !== null) mids[mid] = source;
    this.#slots = this.#receivers.flatMap(({ kind, transceiver }) => {
      const { mid, receiver } = transceiver;
      if (mid === null) return [];
      mids[mid] = kind;
      // A slot that was there keeps its stream, so that nothing that plays starts again.
      return [this.#slots.find((slot) => slot.mid === mid) ?? newSlot(mid, kind, receiver.track)];
    });
    return { sdp: this.pc.localDescription?.sdp ?? "", mids };
  }

  grow(cameras: number): void {
    const have = this.#receivers.filter(({ kind }) => kind === "camera").length;
    for (let i = have; i < cameras; i++) this.#receive("camera");
  }

  async takeBack(): Promise<void> {
    if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" });
    if (!this.#answer) return;
    const fresh = this.#receivers.filter(({ transceiver }) => transceiver.mid === null);
    for (const { transceiver } of fresh) transceiver.stop();
    this.#receivers = this.#receivers.filter((receiver) => !fresh.includes(receiver));
    this.#slots = this.#slots.filter(({ mid }) => this.#receivers.some(({ transceiver }) => transceiver.mid === mid));
  }

  async restart(): Promise<IceCredentials> {
    // An offer that was never answered is still pending: take it back, or there is no new one.
    await this.takeBack();
    await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: true }));
    const credentials = iceCredentials(this.pc.localDescription?.sdp ?? "");
    if (!credentials) throw new Error("the browser's offer has no ICE credentials");
    return credentials;
  }

  async accept(answer: LinkAnswer): Promise<void> {
    this.#answer = "sdp" in answer ? answer.sdp : withIceCredentials(this.#answer, answer);
    const { sdp, later } = heldBack(this.#answer, this.ways);
    await this.pc.setRemoteDescription({ type: "answer", sdp });
    if (later.length > 0) setTimeout(() => this.#addLater(later), HELD_BACK_MS);
  }

  /** A network changes, and a firewall is opened: what failed lately is tried again, behind what works. */
  async #addLater(candidates: readonly string[]): Promise<void> {
    for (const candidate of candidates) {
      // A connection that was closed or restarted meanwhile has no use for them.
      await this.pc.addIceCandidate({ candidate, sdpMLineIndex: 0 }).catch(() => {});
    }
  }

  async setTrack(source: MediaSource, track: MediaStreamTrack | null): Promise<void> {
    await this.#senders.get(source)?.sender.replaceTrack(track);
  }

  setLayers(source: MediaSource, active: readonly boolean[], codec?: VideoCodec): Promise<void> {
    this.#layers = this.#layers.catch(() => {}).then(() => this.#setLayers(source, active, codec));
    return this.#layers;
  }

  async #setLayers(source: MediaSource, active: readonly boolean[], codec?: VideoCodec): Promise<void> {
    const sender = this.#senders.get(source)?.sender;
    const parameters = sender?.getParameters();
    if (sender && parameters && applyLayers(parameters, active, codec)) await sender.setParameters(parameters);
  }

  async limits(): Promise<ReadonlyMap<MediaSource, boolean>> {
    const limits = new Map<MediaSource, boolean>();
    for (const [source, { sender }] of this.#senders) {
      if (isAudio(source) || !sender.track) continue;
      const reports = [...(await sender.getStats()).values()].filter(({ type }) => type === "outbound-rtp");
      limits.set(
        source,
        reports.some((report) => report.qualityLimitationReason === "cpu"),
      );
    }
    return limits;
  }

  async activity(): Promise<number> {
    let sum = 0;
    for (const stats of (await this.pc.getStats()).values()) {
      if (stats.type === "inbound-rtp" && stats.mid) this.received.set(stats.mid, stats.packetsReceived ?? 0);
      // Which of these a browser keeps differs; any of them growing is a packet that came in.
      if (stats.type === "transport" || stats.type === "inbound-rtp") sum += stats.packetsReceived ?? 0;
      else if (stats.type === "candidate-pair") {
        sum += (stats.bytesReceived ?? 0) + (stats.responsesReceived ?? 0) + (stats.requestsReceived ?? 0);
      } else if (stats.type === "remote-outbound-rtp") sum += stats.reportsSent ?? 0;
    }
    return sum;
  }

  close(): void {
    this.pc.close();
    for (const { stream } of this.#slots) for (const track of stream.getTracks()) track.stop();
  }

  #publish(source: MediaSource): void {
    const audio = isAudio(source);
    const transceiver = addSender(this.pc, audio ? "audio" : "video", encodingsFor(source, this.codecs));
    trimCodecs(transceiver, audio, this.codecs);
    this.#senders.set(source, transceiver);
  }

  #receive(kind: MediaSource): void {
    const transceiver = this.pc.addTransceiver(isAudio(kind) ? "audio" : "video", { direction: "recvonly" });
    trimCodecs(transceiver, isAudio(kind), this.codecs);
    this.#receivers.push({ kind, transceiver });
  }
}

function newSlot(mid: string, kind: MediaSource, track: MediaStreamTrack): Slot {
  return { mid, kind, stream: new MediaStream([track]) };
}
