import type { DeviceProblem } from "../errors.ts";
import type {
  Binding,
  CallType,
  MediaSource,
  QualityReason,
  RealtimeBody,
  RosterEntry,
  StreamQuality,
  UserId,
  Waiter,
} from "../protocol/index.ts";
import { type CallEnd, type CallModel, type CallPhase, phaseOf } from "./model.ts";
import { remove, replaceRoster, upsert } from "./roster.ts";

/** How good the way from the server to this page is. */
export interface CallQuality {
  /** 4 good, 3 fair, 2 poor, 1 bad. */
  score: number;
  /** The first reason why it is not better; null when it is good. */
  reason: QualityReason | null;
  /** The streams that are not good, while the connection may be. */
  streams: readonly StreamQuality[];
}

/** Of a connection of which nothing else was heard. */
export const GOOD: CallQuality = { score: 4, reason: null, streams: [] };

/** What a page shows of a call; a new object whenever anything in it changes. */
export interface CallView {
  callId: string;
  chatId: string;
  type: CallType;
  outgoing: boolean;
  phase: CallPhase;
  /** Everybody in the call and everybody rung, in a stable order. */
  participants: readonly RosterEntry[];
  /** Loudest first. */
  speakers: readonly UserId[];
  bindings: readonly Binding[];
  quality: CallQuality;
  /** Own sources that this device's processor limits. */
  limited: readonly MediaSource[];
  mic: boolean;
  camera: boolean;
  screen: boolean;
  /** This person may moderate. */
  moderator: boolean;
  /** This person's place among the raised hands, from 1; null when not raised. */
  hand: number | null;
  /** The moderator who muted this person's microphone. */
  mutedBy: UserId | null;
  /** Nobody else is here: the clock's time at which the call ends unless somebody comes or this person stays. */
  aloneUntil: number | null;
  /** A moderator lets nobody new in. */
  locked: boolean;
  /** To moderators: who waits to be let in, longest first. */
  waiting: readonly Waiter[];
  problems: Readonly<Partial<Record<MediaSource, DeviceProblem>>>;
  /** `Date.now()` of the first answer; null while ringing. */
  talkingSince: number | null;
  end: CallEnd | null;
}

interface Start {
  callId: string;
  chatId: string;
  type: CallType;
  outgoing: boolean;
}

export function newView({ callId, chatId, type, outgoing }: Start, model: CallModel): CallView {
  return {
    callId,
    chatId,
    type,
    outgoing,
    phase: phaseOf(model),
    participants: [],
    speakers: [],
    bindings: [],
    quality: GOOD,
    limited: [],
    mic: false,
    camera: false,
    screen: false,
    moderator: outgoing,
    hand: null,
    mutedBy: null,
    aloneUntil: null,
    locked: false,
    waiting: [],
    problems: {},
    talkingSince: null,
    end: null,
  };
}

/** The receive m-lines on which packets are to come: bound, not paused, of somebody who is there. */
export function expectedMids({ bindings, participants }: CallView): Set<string> {
  const there = new Set(participants.filter(({ status }) => status === "joined").map(({ id }) => id));
  return new Set(bindings.filter(({ paused, userId }) => !paused && there.has(userId)).map(({ mid }) => mid));
}

/** What an event of the room changes in the view; null when nothing. `now`: the clock's milliseconds. */
export function reduceRoom(view: CallView, event: RealtimeBody, me: UserId, now: number): Partial<CallView> | null {
  switch (event.op) {
    case "bindings":
      return { bindings: event.d.slots };
    case "quality":
      return { quality: { score: event.d.score, reason: event.d.reason, streams: event.d.streams } };
    case "speakers":
      return { speakers: event.d.users };
    case "roster":
      return {
        ...people(view, replaceRoster(view.participants, event.d.participants), me),
        type: event.d.type,
        locked: event.d.locked,
      };
    case "call_locked":
      return { locked: event.d.locked };
    case "waiting_list":
      return { waiting: event.d.waiting };
    case "call_participant_joined":
    case "participant_updated":
      return people(view, upsert(view.participants, event.d.participant), me);
    case "call_participant_left":
      return people(view, remove(view.participants, event.d.userId), me);
    case "muted":
      return event.d.source === "mic" ? { mutedBy: event.d.muted ? event.d.by.id : null } : null;
    case "call_alone":
      return { aloneUntil: now + event.d.endsInMs };
    default:
      return null;
  }
}

function people(view: CallView, participants: readonly RosterEntry[], me: UserId): Partial<CallView> {
  const self = participants.find(({ id }) => id === me);
  const company = participants.some(
    ({ id, status }) => id !== me && (status === "joined" || status === "reconnecting"),
  );
  return {
    participants,
    ...(self && { moderator: self.moderator, hand: self.hand, mutedBy: self.sources.mutedBy }),
    aloneUntil: company ? null : view.aloneUntil,
  };
}

/** Raised hands in the order in which they went up. */
export function raisedHands(participants: readonly RosterEntry[]): RosterEntry[] {
  return participants.filter(({ hand }) => hand !== null).sort((a, b) => (a.hand ?? 0) - (b.hand ?? 0));
}
