// Generated from signaling/src/protocol by `cargo run -p signaling --bin protocol-docs`. Do not edit.

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = "ringhall.v1";

/** Largest client frame in bytes. */
export const MAX_FRAME_BYTES = 65536;

/** Largest client frame in bytes for `media_offer`. */
export const MAX_SDP_FRAME_BYTES = 524288;

/** WebSocket close codes. */
export const CLOSE = {
  protocol: 4400,
  auth: 4401,
  removed: 4403,
  replaced: 4409,
  flood: 4429,
  draining: 4503,
} as const;

/** A live call as somebody outside sees it. */
export type ActiveCall = {
  /** Which. */
  callId: CallId;
  /** audio or video. */
  type: CallType;
  /** ringing or ongoing. */
  status: CallStatus;
  /** How many are in it now. */
  count: number;
  /** The reader's own part in it, if any. */
  mine: ParticipantStatus | null;
  /** The device that holds the reader's seat, if they hold one. */
  myDevice: string | null;
  /** A moderator lets nobody new in: a join is refused, or waits. */
  locked: boolean;
  /** The reader is on its waiting list. */
  waiting: boolean;
  /** Who started it. */
  initiatedBy: UserId;
  /** RFC 3339: when the ring began. */
  createdAt: string;
  /** RFC 3339: the first answer. */
  startedAt: string | null;
};

/** What one receive slot carries. */
export type Binding = {
  /** The receive m-line. */
  mid: string;
  /** Whose media. */
  userId: UserId;
  /** Which of theirs. */
  source: MediaSource;
  /** Their number: the CSRC of every packet in the slot. */
  csrc: number;
  /** Simulcast layer, 0 is the smallest. */
  layer: number;
  /** Nothing is sent now. */
  paused: boolean;
  /** Why it is paused. */
  reason: PauseReason | null;
};

/** Fields of `bindings`: all slots, every time. */
export type Bindings = {
  /** Which call. */
  callId: CallId;
  /** The slots that carry something. */
  slots: Array<Binding>;
};

/** A call and who acted. */
export type CallActor = {
  /** Which. */
  callId: CallId;
  /** Who did it. */
  by: User;
};

/** Fields of `call_alone`. */
export type CallAlone = {
  /** Which call. */
  callId: CallId;
  /** What is left of it, milliseconds. */
  endsInMs: number;
};

/** Result of `start_call`, and the event to all tabs of the starter. */
export type CallCreated = {
  /** Which. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** Random and unique; not a permission. */
  roomName: string;
  /** audio or video. */
  type: CallType;
  /** The tab that holds the seat. */
  device: string;
  /** Who is rung. */
  participants: Array<UserId>;
  /** RFC 3339. */
  timestamp: string;
};

/** Answer of `GET /api/v1/calls/{call}`. */
export type CallDetails = {
  /** Which. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** audio or video. */
  type: CallType;
  /** Now. */
  status: CallStatus;
  /** Why it is over; null while it lives. */
  endReason: EndReason | null;
  /** Who started it. */
  initiatedBy: UserId;
  /** RFC 3339: the ring. */
  createdAt: string;
  /** RFC 3339: the first answer. */
  startedAt: string | null;
  /** RFC 3339. */
  endedAt: string | null;
  /** Who ended it, if a person did. */
  endedBy: UserId | null;
  /** Whole seconds of talk. */
  duration: number;
  /** Everybody who was rung or in it. */
  participants: Array<CallDetailsParticipant>;
};

/** One person's part in a past or present call. */
export type CallDetailsParticipant = {
  /** The person. */
  user: User;
  /** Now, or in the end. */
  status: ParticipantStatus;
  /** RFC 3339: when they took the seat last; null for who was never in it. */
  joinedAt: string | null;
  /** RFC 3339: when they freed it last. */
  leftAt: string | null;
  /** Whole seconds in the seat, over all stays. */
  duration: number;
  /** Each stay, from the call's events, in order. */
  stays: Array<Stay>;
  /** How good their connection was, minute by minute; a minute is there once it is over. */
  quality: Array<QualityMinute>;
};

/** A call and the device it is on. */
export type CallDevice = {
  /** Which. */
  callId: CallId;
  /** The tab that has it now. */
  device: string;
};

/** Fields of `call_ended`. */
export type CallEnded = {
  /** Which. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** Final status. */
  status: CallStatus;
  /** Why. */
  reason: EndReason;
  /** Who ended it, if a person did. */
  endedBy: UserId | null;
  /** Their name. */
  userName: string | null;
  /** Whole seconds of talk; 0 when nobody answered. */
  duration: number;
  /** RFC 3339. */
  timestamp: string;
};

/** A call in the reader's history. */
export type CallEntry = {
  /** Which. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** A group's or room's name; null in a direct chat, and for who is not in the chat. */
  chatName: string | null;
  /** audio or video. */
  type: CallType;
  /** Now. */
  status: CallStatus;
  /** Why it is over; null while it lives. */
  endReason: EndReason | null;
  /** Who started it. */
  initiator: User;
  /** The others, by name: at most ten. */
  others: Array<User>;
  /** How many others there are. */
  othersCount: number;
  /** RFC 3339: the ring. */
  createdAt: string;
  /** RFC 3339: the first answer. */
  startedAt: string | null;
  /** RFC 3339. */
  endedAt: string | null;
  /** Whole seconds of talk; 0 when nobody answered. */
  duration: number;
  /** The reader's own status in it. */
  mine: ParticipantStatus;
  /** A missed call that the reader has seen; true for one that was not missed. */
  seen: boolean;
};

/** One call in a chat. */
export type CallId = string;

/** Fields of `call_locked`. */
export type CallLocked = {
  /** Which call. */
  callId: CallId;
  /** false: open again. */
  locked: boolean;
  /** The moderator. */
  by: User;
};

/** Fields of `call_missed`. */
export type CallMissed = {
  /** Which. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** Who rang. */
  initiator: User;
  /** RFC 3339. */
  timestamp: string;
};

/** Answer of `GET /api/v1/calls`. */
export type CallPage = {
  /** Newest first. */
  calls: Array<CallEntry>;
  /** Give it back as `cursor` for the calls before these; null: there are no more. */
  next: string | null;
  /** Missed calls that the reader has not seen, whatever the filter. */
  unseen: number;
};

/** Somebody in a call did something. */
export type CallPerson = {
  /** Which. */
  callId: CallId;
  /** Who. */
  userId: UserId;
  /** Their name. */
  userName: string;
  /** RFC 3339. */
  timestamp: string;
};

/** A call. */
export type CallRef = {
  /** Which. */
  callId: CallId;
};

/** Fields of `call_rejected`. */
export type CallRejected = {
  /** Which. */
  callId: CallId;
  /** Who. */
  userId: UserId;
  /** Their name. */
  userName: string;
  /** declined, busy or timeout. */
  reason: RejectReason;
  /** RFC 3339. */
  timestamp: string;
};

/** Life of a call: `ringing -> ongoing -> ended`, `ringing -> rejected | cancelled`, any live one `-> failed`. */
export type CallStatus = "ringing" | "ongoing" | "ended" | "rejected" | "cancelled" | "failed";

/** A finished call as the history shows it. */
export type CallSummary = {
  /** Which. */
  callId: CallId;
  /** audio or video. */
  type: CallType;
  /** Final status. */
  status: CallStatus;
  /** Why it is over. */
  endReason: EndReason | null;
  /** Whole seconds of talk: `ended_at - started_at`, 0 when nobody answered. */
  duration: number;
  /** The reader's own final status in it. */
  mine: ParticipantStatus | null;
};

/** What is rung for. It decides what the page switches on first; a participant may publish anything later. */
export type CallType = "audio" | "video";

/** Fields of `call_updated`. */
export type CallUpdated = {
  /** Where. */
  chatId: ChatId;
  /** The call, or null when none is live any more. */
  activeCall: ActiveCall | null;
};

/** A person in a call. */
export type CallUser = {
  /** Which call. */
  callId: CallId;
  /** Who. */
  userId: UserId;
};

/** Fields of `calls_seen`. */
export type CallsSeen = {
  /** Missed calls that are still unseen. */
  unseen: number;
};

/** A chat in the list of chats. */
export type Chat = {
  /** Which. */
  id: ChatId;
  /** direct, group or room. */
  type: ChatType;
  /** A group's name; a direct chat has none and shows the other person. */
  name: string | null;
  /** Everybody in it, the reader included. */
  members: Array<ChatMember>;
  /** Of a room: who comes by its link waits until a moderator lets them in. */
  lobby: boolean;
  /** The live call, if there is one. */
  activeCall: ActiveCall | null;
  /** Newest message, for the list. */
  lastMessage: Message | null;
  /** Messages that the reader has not seen. */
  unread: number;
};

/** A conversation: direct, group or room. */
export type ChatId = string;

/** Answer of `GET /api/v1/chats`. */
export type ChatList = {
  /** All chats of the user, newest first. */
  chats: Array<Chat>;
};

/** A member of a chat. */
export type ChatMember = {
  /** Their role here. */
  role: ChatRole;
  /** Who. */
  id: UserId;
  /** Display name. */
  name: string;
  /** URL of a picture. */
  avatar: string | null;
};

/** A member's role in a chat. Owner and admin are moderators of its calls. */
export type ChatRole = "owner" | "admin" | "member";

/** Kind of conversation. */
export type ChatType = "direct" | "group" | "room";

/** From the client. */
export type ClientFrame = { "t": "hello" } & Hello
  | { "t": "req" } & Request
  | { "t": "pong",
  /** The ping's number. */
  n: number;
};

/**
 * Every operation of a `req`; `op` is the variant's name in snake_case, `d` its fields.
 *
 * An op the server does not know is answered with `BAD_REQUEST`; the connection stays open.
 */
export type Command = { "op": "start_call", "d": StartCall }
  | { "op": "accept_call", "d": JoinCall }
  | { "op": "join_call", "d": JoinCall }
  | { "op": "reject_call", "d": RejectCall }
  | { "op": "end_call", "d": CallRef }
  | { "op": "leave_call", "d": CallRef }
  | { "op": "ring_ack", "d": CallRef }
  | { "op": "invite", "d": CallUser }
  | { "op": "kick", "d": CallUser }
  | { "op": "mute", "d": Mute }
  | { "op": "unmute", "d": Mute }
  | { "op": "lock", "d": CallRef }
  | { "op": "unlock", "d": CallRef }
  | { "op": "admit", "d": CallUser }
  | { "op": "deny", "d": CallUser }
  | { "op": "stay", "d": CallRef }
  | { "op": "raise_hand", "d": CallRef }
  | { "op": "lower_hand", "d": LowerHand }
  | { "op": "reaction", "d": Reaction }
  | { "op": "send_message", "d": SendMessage }
  | { "op": "mark_read", "d": MarkRead }
  | { "op": "mark_calls_seen", "d": MarkCallsSeen }
  | { "op": "media_offer", "d": MediaOffer }
  | { "op": "intents", "d": Intents }
  | { "op": "limited", "d": Limited }
  | { "op": "renew_token", "d": RenewToken };

/** A client-made id of one command; a repeat returns the stored answer. */
export type CommandId = string;

/** One browser tab (a UUID that the tab keeps in its sessionStorage). */
export type DeviceId = string;

/** Result of the other call commands. */
export type Done = {
  /** Whether anything changed. */
  outcome: Outcome;
};

/** Why a call is over. */
export type EndReason = "declined" | "busy" | "timeout" | "caller_cancelled" | "caller_lost" | "hangup" | "last_left" | "moderator" | "max_duration" | "connection_lost" | "media_failed" | "server_lost";

/** Why a command was refused. Codes are stable; messages are for developers, the page has its own words. */
export type ErrorCode = "BAD_REQUEST" | "UNAUTHENTICATED" | "TOKEN_EXPIRED" | "FORBIDDEN" | "NOT_FOUND" | "GONE" | "EXISTS" | "BUSY_SELF" | "ANSWERED_ELSEWHERE" | "KICKED" | "ROOM_FULL" | "ROOM_LOCKED" | "RATE_LIMITED" | "CONFLICT" | "UNSUPPORTED_VERSION" | "SDP_REJECTED" | "MEDIA_LIMIT" | "UNAVAILABLE" | "DRAINING" | "INTERNAL";

/** A durable event: `op` and `d` as in `EventBody`. */
export type Event = {
  /** Gapless per user; drop what you have seen. */
  seq: number;
  /** Name of the event. */
  op: string;
  /** The call it is about. */
  callId?: CallId;
  /** Revision of the call after it; an older one than known is stale. */
  rev?: number;
  /** Its fields. */
  d: unknown;
};

/** Durable events (`ev`): kept in the user's outbox and replayed on resume. */
export type EventBody = { "op": "snapshot", "d": Snapshot }
  | { "op": "call_created", "d": CallCreated }
  | { "op": "incoming_call", "d": IncomingCall }
  | { "op": "call_accepted", "d": CallPerson }
  | { "op": "call_rejected", "d": CallRejected }
  | { "op": "call_ended", "d": CallEnded }
  | { "op": "call_missed", "d": CallMissed }
  | { "op": "call_answered_elsewhere", "d": CallDevice }
  | { "op": "seat_moved", "d": CallDevice }
  | { "op": "kicked", "d": CallActor }
  | { "op": "waiting_status", "d": WaitingStatus }
  | { "op": "message", "d": Message }
  | { "op": "calls_seen", "d": CallsSeen }
  | { "op": "chat_updated", "d": Chat };

/** First frame of a connection. */
export type Hello = {
  /** JWT of the user. Never in the URL, where it would be logged. */
  token: string;
  /** This tab. */
  device: DeviceId;
  /** Where the last connection of this tab ended. */
  resume?: Resume;
  /** BCP 47 language of the page, for what the server sends later (mail, push). */
  lang?: string;
};

/** An ICE server for the client, as `RTCIceServer` wants it. */
export type IceServer = {
  /** `turn:`, `turns:` or `stun:` URLs. */
  urls: Array<string>;
  /** TURN user name. */
  username?: string;
  /** TURN password. */
  credential?: string;
};

/** A ring. */
export type IncomingCall = {
  /** Which. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** Random and unique; not a permission. */
  roomName: string;
  /** audio or video. */
  type: CallType;
  /** Who started it. */
  initiator: User;
  /** Who rings this person into a call that runs already; null: the initiator, from the start. */
  invitedBy: User | null;
  /** Who is rung. */
  participants: Array<UserId>;
  /** RFC 3339: when the ring began. */
  timestamp: string;
  /** What is left of the ring, by the server's clock at sending. */
  ringMsLeft: number;
  /** Call waiting: the user is in another call, show it without the ringtone. */
  silent: boolean;
};

/** What one slot should show. */
export type Intent = {
  /** Which receive m-line. */
  mid: string;
  /** Whose media. */
  participant: UserId;
  /** camera or screen. */
  source: MediaSource;
  /** Height of the tile in device pixels; 0: paused. */
  height: number;
  /** Frames per second wanted; 0: as sent. */
  fps?: number;
  /** Higher goes first when there is not room for all. */
  priority?: number;
};

/** Fields of `intents`: replaces what was asked before. */
export type Intents = {
  /** Which call. */
  callId: CallId;
  /** One per slot that should show something; a slot that is not named is freed. */
  slots: Array<Intent>;
};

/** Fields of `accept_call` and `join_call`. */
export type JoinCall = {
  /** Which. */
  callId: CallId;
  /** Move the seat here from another device of mine. */
  takeover?: boolean;
  /** Where the call is locked or its room has a waiting list: get on it, instead of `ROOM_LOCKED`. Sent again it is the same place; `leave_call` gives it up. */
  wait?: boolean;
  /** A call to leave in the same transaction. */
  leave?: CallId;
};

/** Result of `accept_call` and `join_call`. */
export type JoinCallResult = {
  /** joined, waiting (with `wait`), or noop when the call is over (`status` says how). */
  outcome: Outcome;
  /** Which. */
  callId: CallId;
  /** The call's status now. */
  status: CallStatus;
};

/**
 * Fields of `layers`: what a publisher should send of a source. Layers are simulcast streams, or the spatial layers of one
 * stream.
 */
export type Layers = {
  /** Which call. */
  callId: CallId;
  /** Which source. */
  source: MediaSource;
  /** By layer, smallest first: whether to encode it. */
  active: Array<boolean>;
  /** The codec on which the room has agreed: one that everybody in it can decode. Absent: as negotiated. */
  codec?: VideoCodec;
};

/** Fields of `limited`. */
export type Limited = {
  /** Which call. */
  callId: CallId;
  /** Which source. */
  source: MediaSource;
  /** The processor limits it. */
  cpu: boolean;
};

/** What the server will accept. */
export type Limits = {
  /** Most people in one call. */
  maxParticipants: number;
  /** Most people rung by one `start_call`. */
  ringMaxMembers: number;
  /** How long a call rings, milliseconds. */
  ringMs: number;
  /** Longest text message, in UTF-8 bytes. */
  maxMessageBytes: number;
  /** Codecs that a call's video may use, the preferred first. */
  videoCodecs: Array<VideoCodec>;
};

/** Fields of `lower_hand`. */
export type LowerHand = {
  /** Which call. */
  callId: CallId;
  /** Whose; absent: my own. */
  userId?: UserId;
};

/** Fields of `mark_calls_seen`. */
export type MarkCallsSeen = {
  /** The newest missed call that was seen; absent: all of them. */
  upTo?: CallId;
};

/** Fields of `mark_read`. */
export type MarkRead = {
  /** Where. */
  chatId: ChatId;
  /** The newest message that was seen; absent: all of them. The marker never goes back. */
  upTo?: MessageId;
};

/** Fields of `media_answer`: `sdp` for an offer, `ufrag` and `pwd` for an ICE restart. */
export type MediaAnswer = {
  /** Which call. */
  callId: CallId;
  /** The offer it answers. */
  offerId: OfferId;
  /** RFC 8866 session description. */
  sdp?: string;
  /** Server's ICE user fragment. */
  ufrag?: string;
  /** Server's ICE password. */
  pwd?: string;
};

/**
 * Fields of `media_offer`: a whole offer has `sdp`, an ICE restart `ufrag` and `pwd` alone. The answer comes as the
 * ephemeral event `media_answer` with the same `offerId`; an answer to an older offer is to be dropped.
 */
export type MediaOffer = {
  /** Which call. */
  callId: CallId;
  /** Made by the client. */
  offerId: OfferId;
  /** RFC 8866 session description. */
  sdp?: string;
  /** New ICE user fragment of the client. */
  ufrag?: string;
  /** New ICE password of the client. */
  pwd?: string;
  /** What each mid of the offer is for: a sending m-line's source, a receiving one's kind of slot. Where absent, the first audio and video m-lines of a direction are microphone and camera, and further ones the screen's. */
  mids?: { [key in string]: MediaSource };
};

/** What a participant publishes, and what a slot is for. */
export type MediaSource = "mic" | "camera" | "screen" | "screenAudio";

/** How media travels between a page and the server. */
export type MediaWay = "udp" | "tcp" | "relay";

/** A message in a chat; calls leave one of kind `call`. */
export type Message = {
  /** Which. */
  id: MessageId;
  /** Where. */
  chatId: ChatId;
  /** Who wrote it, or who started the call. */
  senderId: UserId;
  /** text or call. */
  kind: MessageKind;
  /** The text; empty for a call. */
  content: string;
  /** The call, for kind `call`. */
  call: CallSummary | null;
  /** The call in which a text was written. */
  inCall?: CallId;
  /** RFC 3339. */
  createdAt: string;
};

/** One chat message. */
export type MessageId = string;

/** Kind of message. */
export type MessageKind = "text" | "call";

/** Answer of `GET /api/v1/chats/{chat}/messages` and `GET /api/v1/calls/{call}/messages`. */
export type MessagePage = {
  /** Newest first. */
  messages: Array<Message>;
  /** There are older ones: ask with `before` = the last one's id. */
  more: boolean;
};

/** Fields of `mute` and `unmute`. */
export type Mute = {
  /** Which call. */
  callId: CallId;
  /** Whose; absent: my own. */
  userId?: UserId;
  /** What. A screen share begins with `unmute{source:"screen"}` and ends with `mute`. */
  source: MediaSource;
};

/** Fields of `muted`. */
export type Muted = {
  /** Which call. */
  callId: CallId;
  /** What. */
  source: MediaSource;
  /** false: lifted. */
  muted: boolean;
  /** The moderator. */
  by: User;
};

/** A client-made id of one SDP offer; an answer names the offer it belongs to. */
export type OfferId = string;

/** Whether a command changed anything. */
export type Outcome = "done" | "joined" | "waiting" | "noop";

/** Fields of `call_participant_joined` and `participant_updated`. */
export type ParticipantJoined = {
  /** Which call. */
  callId: CallId;
  /** Who, as the plan names it. */
  userId: UserId;
  /** Their name, as the plan names it. */
  userName: string;
  /** RFC 3339. */
  timestamp: string;
  /** Their place in the roster. */
  participant: RosterEntry;
};

/** Fields of `call_participant_left`. */
export type ParticipantLeft = {
  /** Which call. */
  callId: CallId;
  /** Who. */
  userId: UserId;
  /** Their name. */
  userName: string;
  /** left, kicked, declined, busy or missed. */
  status: ParticipantStatus;
  /** The moderator who removed them, if one did. */
  by: UserId | null;
  /** RFC 3339. */
  timestamp: string;
};

/** One person's part in a call; one row per (call, user), never per tab. */
export type ParticipantStatus = "invited" | "ringing" | "joined" | "reconnecting" | "left" | "kicked" | "declined" | "busy" | "missed";

/** Why a slot is paused. */
export type PauseReason = "muted" | "notVisible" | "bandwidth" | "noMedia";

/** Whether a person can be reached now. */
export type Presence = "online" | "in_call" | "offline";

/** Fields of `quality`: the connection from the server to this participant, and what comes by it. */
export type Quality = {
  /** Which call. */
  callId: CallId;
  /** 4 good, 3 fair, 2 poor, 1 bad. */
  score: number;
  /** The first reason why it is not better; none when it is good. */
  reason: QualityReason | null;
  /** The streams that are not good, all of them every time. What is wrong with the whole connection is not repeated here. */
  streams: Array<StreamQuality>;
};

/** How good the connection to one participant was in one minute of the clock. */
export type QualityMinute = {
  /** RFC 3339: its beginning. */
  minute: string;
  /** Milliseconds of it with score 4. The four are less than a minute for who was connected for a part of it. */
  goodMs: number;
  /** With score 3. */
  fairMs: number;
  /** With score 2. */
  poorMs: number;
  /** With score 1. */
  badMs: number;
  /** Why it was not good, for most of that time; null when it was. */
  reason: QualityReason | null;
};

/** Why a connection is not as good as it could be. */
export type QualityReason = "lost" | "loss" | "delay" | "bandwidth" | "cpu" | "paused";

/** Fields of `reaction`. */
export type Reaction = {
  /** Which call. */
  callId: CallId;
  /** One emoji. */
  emoji: string;
};

/** A reaction as shown. */
export type ReactionShown = {
  /** Which call. */
  callId: CallId;
  /** Whose. */
  userId: UserId;
  /** One emoji. */
  emoji: string;
};

/** An ephemeral event: `op` and `d` as in `RealtimeBody`. */
export type Realtime = {
  /** Name of the event. */
  op: string;
  /** Counts up per connection. */
  n: number;
  /** Its fields. */
  d: unknown;
};

/** Ephemeral events (`rt`): the live room and presence. */
export type RealtimeBody = { "op": "media_answer", "d": MediaAnswer }
  | { "op": "bindings", "d": Bindings }
  | { "op": "roster", "d": Roster }
  | { "op": "call_participant_joined", "d": ParticipantJoined }
  | { "op": "call_participant_left", "d": ParticipantLeft }
  | { "op": "participant_updated", "d": ParticipantJoined }
  | { "op": "call_ringing", "d": CallPerson }
  | { "op": "call_updated", "d": CallUpdated }
  | { "op": "speakers", "d": Speakers }
  | { "op": "layers", "d": Layers }
  | { "op": "quality", "d": Quality }
  | { "op": "presence", "d": UserPresence }
  | { "op": "resumed", "d": Resumed }
  | { "op": "muted", "d": Muted }
  | { "op": "call_locked", "d": CallLocked }
  | { "op": "waiting_list", "d": WaitingList }
  | { "op": "call_alone", "d": CallAlone }
  | { "op": "reaction", "d": ReactionShown }
  | { "op": "server_draining", "d": ServerDraining };

/** Fields of `reject_call`. */
export type RejectCall = {
  /** Which. */
  callId: CallId;
  /** Why. */
  reason?: RejectReason;
};

/** Why a callee says no. */
export type RejectReason = "declined" | "busy" | "timeout";

/** Fields of `renew_token`. */
export type RenewToken = {
  /** JWT of the same person with the same reach (room, chats, grants); else `FORBIDDEN`, and a new connection is needed. */
  token: string;
};

/** A command: `op` and its fields, as in `Command`. */
export type Request = {
  /** Made by the client; a repeat returns the stored answer. */
  id: CommandId;
  /** Name of the operation. */
  op: string;
  /** Its fields. */
  d: unknown;
};

/** Answer to a `req`: exactly one of `d` and `err`. */
export type Response = {
  /** The request's id. */
  id: CommandId;
  /** Whether it was carried out. */
  ok: boolean;
  /** The result. */
  d?: unknown;
  /** Why not. */
  err?: WireError;
};

/** Where a session was left. */
export type Resume = {
  /** As `welcome` gave it. */
  session: SessionId;
  /** Sequence of the last event seen. */
  seq: number;
  /** As `welcome` gave it. */
  epoch: number;
};

/**
 * Fields of `resumed`: what a tab may have missed of the ephemeral events while it had no connection. It follows the last
 * replayed event.
 */
export type Resumed = {
  /** The live calls of the user's chats; a chat that is not named has none. */
  calls: Array<CallUpdated>;
  /** Presence of everybody in them. */
  presence: Array<UserPresence>;
};

/** Fields of `roster`. */
export type Roster = {
  /** Which call. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** ringing or ongoing. */
  status: CallStatus;
  /** audio or video. */
  type: CallType;
  /** RFC 3339: the first answer. */
  startedAt: string | null;
  /** A moderator lets nobody new in. */
  locked: boolean;
  /** Everybody, those still rung included. */
  participants: Array<RosterEntry>;
};

/** One person in the call, as the others see them. */
export type RosterEntry = {
  /** joined, reconnecting, or while ringing also invited and ringing. */
  status: ParticipantStatus;
  /** May moderate this call. */
  moderator: boolean;
  /** What is live. */
  sources: Sources;
  /** Place in the ordered list of raised hands, from 1; null when not raised. */
  hand: number | null;
  /** Who. */
  id: UserId;
  /** Display name. */
  name: string;
  /** URL of a picture. */
  avatar: string | null;
};

/** Fields of `send_message`. */
export type SendMessage = {
  /** Where. */
  chatId: ChatId;
  /** The text. */
  content: string;
  /** Written in this call, in which the sender holds a seat: it reaches those in it who are not in the chat, too. */
  callId?: CallId;
};

/** Fields of `server_draining`. */
export type ServerDraining = {
  /** When to come back, milliseconds. */
  retryAfterMs: number;
};

/** From the server. */
export type ServerFrame = { "t": "welcome" } & Welcome
  | { "t": "res" } & Response
  | { "t": "ev" } & Event
  | { "t": "rt" } & Realtime
  | { "t": "ping",
  /** Counts up. */
  n: number;
};

/** One resumable WebSocket session. */
export type SessionId = string;

/** State for a page that starts, or that missed too much. */
export type Snapshot = {
  /** All chats of the user, newest first. */
  chats: Array<Chat>;
  /** Presence of everybody in them. */
  presence: Array<UserPresence>;
  /** Calls that ring for this user now. */
  incoming: Array<IncomingCall>;
  /** Missed calls that the user has not seen. */
  missedCalls: number;
};

/** Which of a participant's sources are live, and which a moderator has switched off. */
export type Sources = {
  /** Microphone is live. */
  mic: boolean;
  /** Camera is live. */
  camera: boolean;
  /** Screen is live. */
  screen: boolean;
  /** Screen sound is live. */
  screenAudio: boolean;
  /** Moderator who muted the microphone; it stays so until lifted. */
  mutedBy: UserId | null;
  /** Every source that a moderator switched off, the microphone included, and who did. Enforced until lifted. */
  blockedBy?: { [key in MediaSource]?: UserId };
};

/** Fields of `speakers`. */
export type Speakers = {
  /** Which call. */
  callId: CallId;
  /** The dominant speaker first; empty when nobody speaks. */
  users: Array<UserId>;
};

/** Fields of `start_call`. */
export type StartCall = {
  /** Where. */
  chatId: ChatId;
  /** audio or video. */
  type: CallType;
  /** Whom to ring; everybody else in the chat when absent. */
  invitees?: Array<UserId>;
  /** A call to leave in the same transaction. */
  leave?: CallId;
};

/** Result of `start_call`. */
export type StartCallResult = { "outcome": "created" } & CallCreated
  | { "outcome": "exists",
  /** Which. */
  callId: CallId;
  /** ringing or ongoing. */
  status: CallStatus;
};

/** From taking the seat to freeing it. */
export type Stay = {
  /** RFC 3339. */
  joinedAt: string;
  /** RFC 3339; null while they sit. */
  leftAt: string | null;
  /** `left`, `kicked`, `call_ended`, `connection_lost` or `media_failed`; null while they sit. */
  reason: string | null;
};

/** A stream that this participant gets and that is not as good as it could be. */
export type StreamQuality = {
  /** The receive m-line that carries it. */
  mid: string;
  /** Whose. */
  userId: UserId;
  /** Which of theirs. */
  source: MediaSource;
  /** 3 fair, 2 poor, 1 bad. */
  score: number;
  /** The first reason why it is not better: `bandwidth` (a smaller picture than the tile could show), `paused`, `loss` (on the way from its publisher to the server) or `cpu`. */
  reason: QualityReason;
};

/** Answer of `POST /api/v1/chats/{chat}/read`. */
export type Unread = {
  /** Messages of the chat that are still unread. */
  unread: number;
};

/** A person as others see them. */
export type User = {
  /** Who. */
  id: UserId;
  /** Display name. */
  name: string;
  /** URL of a picture. */
  avatar: string | null;
};

/** A person, unique by (issuer, `sub`); for local accounts a UUID made by this server. */
export type UserId = string;

/** A person with presence, as a chat list needs it. */
export type UserPresence = {
  /** Who. */
  userId: UserId;
  /** Reachable? */
  presence: Presence;
  /** RFC 3339; only for somebody offline who was here before. */
  lastSeen: string | null;
};

/** A codec for video. */
export type VideoCodec = "vp8" | "vp9" | "h264" | "av1";

/** Somebody on the waiting list. */
export type Waiter = {
  /** Came by a guest link. */
  guest: boolean;
  /** RFC 3339: since when. */
  since: string;
  /** Who. */
  id: UserId;
  /** Display name. */
  name: string;
  /** URL of a picture. */
  avatar: string | null;
};

/** Fields of `waiting_list`. */
export type WaitingList = {
  /** Which call. */
  callId: CallId;
  /** Longest wait first; empty when nobody waits any more. */
  waiting: Array<Waiter>;
};

/** What became of somebody's wait. */
export type WaitingOutcome = "waiting" | "admitted" | "denied" | "expired" | "ended";

/** Fields of `waiting_status`. */
export type WaitingStatus = {
  /** Which call. */
  callId: CallId;
  /** Where. */
  chatId: ChatId;
  /** What became of it. */
  status: WaitingOutcome;
  /** The tab that waits; an admitted one sends `join_call` now. */
  device: string;
  /** The moderator who decided, if one did. */
  by: User | null;
  /** RFC 3339. */
  timestamp: string;
};

/** Answer to `hello`. Then come either `replay` events, or one `snapshot` event. */
export type Welcome = {
  /** For `resume`. */
  session: SessionId;
  /** The signed-in person. */
  user: User;
  /** Changes when the database was restored; forces a snapshot. */
  epoch: number;
  /** The newest event's sequence. */
  seq: number;
  /** How many events are replayed; null: a snapshot follows instead. */
  replay: number | null;
  /** For `RTCConfiguration.iceServers`. */
  ice: Array<IceServer>;
  /** Besides, for connections with `iceTransportPolicy: "relay"` alone: TURN by UDP, at the addresses of the media itself. Beside direct candidates it keeps Chromium from hearing answers to its checks by UDP. */
  relays: Array<IceServer>;
  /** How media gets through from this network, the best first: what failed there lately stands last. */
  ways: Array<MediaWay>;
  /** What the server will accept. */
  limits: Limits;
};

/** The `err` of a `res`. */
export type WireError = {
  /** What kind. */
  code: ErrorCode;
  /** In English, for developers: what was wrong and what to do. */
  message: string;
  /** Milliseconds to wait before trying again; 0 when waiting does not help. */
  retryAfterMs: number;
};
