// The wire protocol `ringhall.v1`, as signaling/src/protocol/ defines it in Rust.

export type UserId = string;
export type ChatId = string;
export type CallId = string;
export type DeviceId = string;
export type SessionId = string;
export type CommandId = string;
export type OfferId = string;
export type MessageId = string;

export type CallType = "audio" | "video";
export type ChatType = "direct" | "group" | "room";
export type ChatRole = "owner" | "admin" | "member";
export type CallStatus = "ringing" | "ongoing" | "ended" | "rejected" | "cancelled" | "failed";
export type EndReason =
  | "declined"
  | "busy"
  | "timeout"
  | "caller_cancelled"
  | "caller_lost"
  | "hangup"
  | "last_left"
  | "moderator"
  | "max_duration"
  | "connection_lost"
  | "media_failed"
  | "server_lost";
export type ParticipantStatus =
  | "invited"
  | "ringing"
  | "joined"
  | "reconnecting"
  | "left"
  | "kicked"
  | "declined"
  | "busy"
  | "missed";
export type MediaSource = "mic" | "camera" | "screen" | "screenAudio";
export type User = { id: UserId; name: string; avatar: string | null };
export type Presence = "online" | "in_call" | "offline";
export type UserPresence = { userId: UserId; presence: Presence; lastSeen: string | null };
export type ChatMember = { role: ChatRole } & User;
export type Chat = {
  id: ChatId;
  type: ChatType;
  name: string | null;
  members: Array<ChatMember>;
  activeCall: ActiveCall | null;
  lastMessage: Message | null;
  unread: number;
};
export type ActiveCall = {
  callId: CallId;
  type: CallType;
  status: CallStatus;
  count: number;
  mine: ParticipantStatus | null;
  myDevice: string | null;
  initiatedBy: UserId;
  createdAt: string;
  startedAt: string | null;
};
export type MessageKind = "text" | "call";
export type Message = {
  id: MessageId;
  chatId: ChatId;
  senderId: UserId;
  kind: MessageKind;
  content: string;
  call: CallSummary | null;
  createdAt: string;
};
export type CallSummary = {
  callId: CallId;
  type: CallType;
  status: CallStatus;
  endReason: EndReason | null;
  duration: number;
  mine: ParticipantStatus | null;
};
export type Sources = {
  mic: boolean;
  camera: boolean;
  screen: boolean;
  screenAudio: boolean;
  mutedBy: UserId | null;
};
export type RosterEntry = {
  status: ParticipantStatus;
  moderator: boolean;
  sources: Sources;
  hand: number | null;
} & User;
export type IceServer = { urls: Array<string>; username?: string; credential?: string };

export type ErrorCode =
  | "BAD_REQUEST"
  | "UNAUTHENTICATED"
  | "TOKEN_EXPIRED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "GONE"
  | "EXISTS"
  | "BUSY_SELF"
  | "ANSWERED_ELSEWHERE"
  | "KICKED"
  | "ROOM_FULL"
  | "ROOM_LOCKED"
  | "RATE_LIMITED"
  | "CONFLICT"
  | "UNSUPPORTED_VERSION"
  | "SDP_REJECTED"
  | "MEDIA_LIMIT"
  | "UNAVAILABLE"
  | "DRAINING"
  | "INTERNAL";
export type WireError = { code: ErrorCode; message: string; retryAfterMs: number };

export type Resume = { session: SessionId; seq: number; epoch: number };
export type Hello = { token: string; device: DeviceId; resume?: Resume; lang?: string };
export type Request = { id: CommandId; op: string; d: unknown };
export type ClientFrame = ({ t: "hello" } & Hello) | ({ t: "req" } & Request) | { t: "pong"; n: number };
export type Limits = { maxParticipants: number; ringMaxMembers: number; ringMs: number; maxMessageBytes: number };
export type Welcome = {
  session: SessionId;
  user: User;
  epoch: number;
  seq: number;
  replay: number | null;
  ice: Array<IceServer>;
  limits: Limits;
};
export type Response = { id: CommandId; ok: boolean; d?: unknown; err?: WireError };
export type Event = { seq: number; op: string; callId?: CallId; rev?: number; d: unknown };
export type Realtime = { op: string; n: number; d: unknown };
export type ServerFrame =
  | ({ t: "welcome" } & Welcome)
  | ({ t: "res" } & Response)
  | ({ t: "ev" } & Event)
  | ({ t: "rt" } & Realtime)
  | { t: "ping"; n: number };

export type StartCall = { chatId: ChatId; type: CallType; invitees?: Array<UserId>; leave?: CallId };
export type JoinCall = { callId: CallId; takeover?: boolean; leave?: CallId };
export type RejectReason = "declined" | "busy" | "timeout";
export type RejectCall = { callId: CallId; reason?: RejectReason };
export type CallRef = { callId: CallId };
export type ChatRef = { chatId: ChatId };
export type CallUser = { callId: CallId; userId: UserId };
export type Mute = { callId: CallId; userId?: UserId; source: MediaSource };
export type LowerHand = { callId: CallId; userId?: UserId };
export type Reaction = { callId: CallId; emoji: string };
export type SendMessage = { chatId: ChatId; content: string };
export type MediaOffer = {
  callId: CallId;
  offerId: OfferId;
  sdp?: string;
  ufrag?: string;
  pwd?: string;
  mids?: { [key in string]: MediaSource };
};
export type Intents = { callId: CallId; slots: Array<Intent> };
export type Intent = {
  mid: string;
  participant: UserId;
  source: MediaSource;
  height: number;
  fps?: number;
  priority?: number;
};
export type Command =
  | { op: "start_call"; d: StartCall }
  | { op: "accept_call"; d: JoinCall }
  | { op: "join_call"; d: JoinCall }
  | { op: "reject_call"; d: RejectCall }
  | { op: "end_call"; d: CallRef }
  | { op: "leave_call"; d: CallRef }
  | { op: "ring_ack"; d: CallRef }
  | { op: "invite"; d: CallUser }
  | { op: "kick"; d: CallUser }
  | { op: "mute"; d: Mute }
  | { op: "unmute"; d: Mute }
  | { op: "lock"; d: CallRef }
  | { op: "unlock"; d: CallRef }
  | { op: "admit"; d: CallUser }
  | { op: "raise_hand"; d: CallRef }
  | { op: "lower_hand"; d: LowerHand }
  | { op: "reaction"; d: Reaction }
  | { op: "send_message"; d: SendMessage }
  | { op: "mark_read"; d: ChatRef }
  | { op: "media_offer"; d: MediaOffer }
  | { op: "intents"; d: Intents };

export type Outcome = "done" | "joined" | "noop";
export type Done = { outcome: Outcome };
export type StartCallResult =
  | ({ outcome: "created" } & CallCreated)
  | { outcome: "exists"; callId: CallId; status: CallStatus };
export type JoinCallResult = { outcome: Outcome; callId: CallId; status: CallStatus };

export type Snapshot = { chats: Array<Chat>; presence: Array<UserPresence>; incoming: Array<IncomingCall> };
export type CallCreated = {
  callId: CallId;
  chatId: ChatId;
  roomName: string;
  type: CallType;
  device: string;
  participants: Array<UserId>;
  timestamp: string;
};
export type IncomingCall = {
  callId: CallId;
  chatId: ChatId;
  roomName: string;
  type: CallType;
  initiator: User;
  participants: Array<UserId>;
  timestamp: string;
  ringMsLeft: number;
  silent: boolean;
};
export type CallPerson = { callId: CallId; userId: UserId; userName: string; timestamp: string };
export type CallRejected = {
  callId: CallId;
  userId: UserId;
  userName: string;
  reason: RejectReason;
  timestamp: string;
};
export type CallEnded = {
  callId: CallId;
  chatId: ChatId;
  status: CallStatus;
  reason: EndReason;
  endedBy: UserId | null;
  userName: string | null;
  duration: number;
  timestamp: string;
};
export type CallMissed = { callId: CallId; chatId: ChatId; initiator: User; timestamp: string };
export type CallDevice = { callId: CallId; device: string };
export type CallActor = { callId: CallId; by: User };
export type MediaAnswer = { callId: CallId; offerId: OfferId; sdp?: string; ufrag?: string; pwd?: string };
export type PauseReason = "muted" | "notVisible" | "bandwidth" | "noMedia";
export type Binding = {
  mid: string;
  userId: UserId;
  source: MediaSource;
  csrc: number;
  layer: number;
  paused: boolean;
  reason: PauseReason | null;
};
export type Bindings = { callId: CallId; slots: Array<Binding> };
export type Roster = {
  callId: CallId;
  chatId: ChatId;
  status: CallStatus;
  type: CallType;
  startedAt: string | null;
  participants: Array<RosterEntry>;
};
export type ParticipantJoined = {
  callId: CallId;
  userId: UserId;
  userName: string;
  timestamp: string;
  participant: RosterEntry;
};
export type ParticipantLeft = {
  callId: CallId;
  userId: UserId;
  userName: string;
  status: ParticipantStatus;
  timestamp: string;
};
export type CallUpdated = { chatId: ChatId; activeCall: ActiveCall | null };
export type Speakers = { callId: CallId; users: Array<UserId> };
export type Layers = { callId: CallId; source: MediaSource; active: Array<boolean> };
export type Muted = { callId: CallId; source: MediaSource; muted: boolean; by: User };
export type ReactionShown = { callId: CallId; userId: UserId; emoji: string };
export type ServerDraining = { retryAfterMs: number };

export type EventBody =
  | { op: "snapshot"; d: Snapshot }
  | { op: "call_created"; d: CallCreated }
  | { op: "incoming_call"; d: IncomingCall }
  | { op: "call_accepted"; d: CallPerson }
  | { op: "call_rejected"; d: CallRejected }
  | { op: "call_ended"; d: CallEnded }
  | { op: "call_missed"; d: CallMissed }
  | { op: "call_answered_elsewhere"; d: CallDevice }
  | { op: "seat_moved"; d: CallDevice }
  | { op: "kicked"; d: CallActor }
  | { op: "message"; d: Message }
  | { op: "chat_updated"; d: Chat };
export type RealtimeBody =
  | { op: "media_answer"; d: MediaAnswer }
  | { op: "bindings"; d: Bindings }
  | { op: "roster"; d: Roster }
  | { op: "call_participant_joined"; d: ParticipantJoined }
  | { op: "call_participant_left"; d: ParticipantLeft }
  | { op: "participant_updated"; d: ParticipantJoined }
  | { op: "call_ringing"; d: CallPerson }
  | { op: "call_updated"; d: CallUpdated }
  | { op: "speakers"; d: Speakers }
  | { op: "layers"; d: Layers }
  | { op: "presence"; d: UserPresence }
  | { op: "muted"; d: Muted }
  | { op: "reaction"; d: ReactionShown }
  | { op: "server_draining"; d: ServerDraining };
