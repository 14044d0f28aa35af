export type { CallEnd, CallPhase } from "./call/model.ts";
export { Moderation } from "./call/moderation.ts";
export { isSeated } from "./call/roster.ts";
export { CallSession, type CallSessionEvents } from "./call/session.ts";
export { type CallQuality, type CallView, raisedHands } from "./call/view.ts";
export {
  type ClientEvents,
  type ClientOptions,
  type JoinOptions,
  type MediaChoice,
  RinghallClient,
  type Started,
  type StartOptions,
} from "./client.ts";
export { type Clock, systemClock } from "./clock.ts";
export { Connection, type ConnectionState, type StopReason } from "./connection.ts";
export { claimDevice } from "./device.ts";
export { type DeviceProblem, type LocalErrorCode, RinghallError } from "./errors.ts";
export type { DataMessage } from "./media/data.ts";
export { browserDevices, type DeviceChoice, DeviceError, type Devices } from "./media/devices.ts";
export type { MediaLink, Offer, OpenLink, Slot } from "./media/link.ts";
export { PeerLink } from "./media/peer.ts";
export type { WantedTile } from "./media/slots.ts";
export * from "./protocol/index.ts";
export {
  type CallFilter,
  type DemoUser,
  type GuestLink,
  type InviteInfo,
  type MessagePage,
  Rest,
  type RoomInfo,
  type ServerInfo,
  type Session,
} from "./rest.ts";
export { type RingContext, type RingPlan, ringPlan } from "./ring.ts";
export type { ClientState, Ring } from "./state.ts";
export { browserSockets, type OpenSocket, type Socket } from "./transport.ts";
