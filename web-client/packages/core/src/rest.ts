import { RinghallError } from "./errors.ts";
import type { CallDetails, CallPage, Chat, ChatId, ErrorCode, Message, User } from "./protocol/index.ts";

export interface DemoUser {
  login: string;
  name: string;
  password: string;
}

/** What the server says of itself before anybody has signed in. */
export interface ServerInfo {
  name: string;
  version: string;
  /** Present only on a demo server: who may be signed in as. */
  demo: { users: DemoUser[] } | null;
  /** Nobody can sign in yet; the one-time link from the server's log is needed. */
  setupRequired: boolean;
}

/** A signed-in person. */
export interface Session {
  token: string;
  /** RFC 3339. */
  expiresAt: string;
  user: User;
}

export interface MessagePage {
  messages: Message[];
  more: boolean;
}

/** Which calls of one's own history. */
export interface CallFilter {
  /** Only those that were missed. */
  missed?: boolean;
  chatId?: string;
  /** `next` of the page before. */
  cursor?: string;
  limit?: number;
}

/** A room and its link. */
export interface RoomInfo {
  chat: Chat;
  /** The last part of its link. */
  name: string;
  /** The link, `/r/{name}` on this server. */
  url: string;
}

/** An invitation for people without an account; `url` is told this once. */
export interface GuestLink {
  id: string;
  url: string;
  /** RFC 3339; null: does not expire. */
  expiresAt: string | null;
  hasPassword: boolean;
}

/** What somebody who holds an invitation may know before entering. */
export interface InviteInfo {
  room: string;
  /** There is a waiting list. */
  lobby: boolean;
  passwordNeeded: boolean;
  expiresAt: string | null;
}

/** The part of the REST interface that a page needs. Refusals are {@link RinghallError}s. */
export class Rest {
  constructor(
    private readonly base: string,
    private readonly token: () => string | null = () => null,
    private readonly fetcher: typeof fetch = (...args) => fetch(...args),
  ) {}

  server(): Promise<ServerInfo> {
    return this.#call("GET", "/api/v1/server");
  }

  signIn(login: string, password: string): Promise<Session> {
    return this.#call("POST", "/api/v1/session", { login, password });
  }

  refresh(): Promise<Session> {
    return this.#call("POST", "/api/v1/session/refresh");
  }

  /** First start: makes the first account with the one-time code. */
  setup(account: { code: string; login: string; name: string; password: string }): Promise<Session> {
    return this.#call("POST", "/api/v1/setup", account);
  }

  /** Newest first page of a chat, or the page before a message. */
  messages(chatId: string, before?: string, limit = 50): Promise<MessagePage> {
    const query = new URLSearchParams({ limit: String(limit), ...(before && { before }) });
    return this.#call("GET", `/api/v1/chats/${encodeURIComponent(chatId)}/messages?${query}`);
  }

  call(callId: string): Promise<CallDetails> {
    return this.#call("GET", `/api/v1/calls/${encodeURIComponent(callId)}`);
  }

  /** This person's own calls, newest first, and how many missed ones they have not seen. */
  calls(filter: CallFilter = {}): Promise<CallPage> {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(filter)) if (value !== undefined) query.set(key, String(value));
    return this.#call("GET", `/api/v1/calls?${query}`);
  }

  /** Makes a room; without a name it gets one that cannot be guessed. */
  createRoom(room: { name?: string; lobby?: boolean } = {}): Promise<RoomInfo> {
    return this.#call("POST", "/api/v1/rooms", room);
  }

  /** By its link: makes this person a member of the room. */
  enterRoom(name: string): Promise<RoomInfo> {
    return this.#call("POST", `/api/v1/rooms/${encodeURIComponent(name)}/enter`, {});
  }

  /** Owner and admins: whether who comes by the link waits to be let in. */
  setLobby(name: string, lobby: boolean): Promise<RoomInfo> {
    return this.#call("PATCH", `/api/v1/rooms/${encodeURIComponent(name)}`, { lobby });
  }

  /** Owner and admins: a link for guests. */
  inviteGuests(name: string, limits: { expiresInSeconds?: number; maxUses?: number; password?: string } = {}) {
    return this.#call<GuestLink>("POST", `/api/v1/rooms/${encodeURIComponent(name)}/invites`, limits);
  }

  lookAtInvite(code: string): Promise<InviteInfo> {
    return this.#call("POST", "/api/v1/invites/look", { code });
  }

  /** Enters a room as a guest; the token reaches this room alone. */
  enterAsGuest(guest: { code: string; name: string; password?: string }): Promise<Session & { chat: ChatId }> {
    return this.#call("POST", "/api/v1/invites/enter", guest);
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const token = this.token();
    const headers: Record<string, string> = {};
    if (token) headers["authorization"] = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    let response: globalThis.Response;
    try {
      response = await this.fetcher(this.base + path, {
        method,
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    } catch {
      throw new RinghallError("OFFLINE", "The server cannot be reached.");
    }
    if (response.ok) return (await response.json()) as T;
    throw await problem(response);
  }
}

/** Reads an RFC 9457 problem; a proxy's error page has none, so the status speaks for it. */
async function problem(response: globalThis.Response): Promise<RinghallError> {
  const body = (await response.json().catch(() => ({}))) as { code?: ErrorCode; detail?: string; title?: string };
  const code = body.code ?? codeOf(response.status);
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  return new RinghallError(code, body.detail ?? body.title ?? response.statusText, seconds * 1000 || 0);
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "FORBIDDEN";
  if (status === 404) return "NOT_FOUND";
  if (status === 429) return "RATE_LIMITED";
  if (status === 502 || status === 503 || status === 504) return "UNAVAILABLE";
  return "INTERNAL";
}
