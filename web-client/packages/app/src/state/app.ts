import { computed, effect, signal } from "@preact/signals";
import {
  browserSockets,
  type CallSession,
  type CallView,
  type Chat,
  type ClientState,
  type ConnectionState,
  claimDevice,
  PeerLink,
  RinghallClient,
  type Slot,
  type StopReason,
  systemClock,
} from "@ringhall/core";
import { lang } from "../i18n/index.ts";
import { expired, refreshed, scheduleRefresh, session, setSession } from "./auth.ts";
import { devices } from "./devices.ts";

/** What the page knows; components read these signals and never ask the client. */
export const client = signal<RinghallClient | null>(null);
export const world = signal<ClientState | null>(null);
export const connection = signal<ConnectionState>("connecting");
export const stopped = signal<StopReason | null>(null);
export const call = signal<CallSession | null>(null);
export const callView = signal<CallView | null>(null);
export const slots = signal<readonly Slot[]>([]);
export const openChatId = signal<string | null>(null);

export const me = computed(() => world.value?.me ?? session.value?.user ?? null);
export const chats = computed(() => world.value?.chats ?? []);
export const openChat = computed(() => chats.value.find((chat) => chat.id === openChatId.value) ?? null);
export const incoming = computed(() => world.value?.incoming ?? []);

/** Called for every new client, before it connects. */
type Attach = (client: RinghallClient) => void;
const attachments: Attach[] = [];

export function onClient(attach: Attach): void {
  attachments.push(attach);
}

export async function startClient(): Promise<void> {
  const device = await claimDevice(sessionStorage, navigator.locks);
  if (!session.value || client.value) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const next = new RinghallClient({
    open: browserSockets(`${scheme}://${location.host}/v1/ws`),
    clock: systemClock,
    device,
    token: () => session.value?.token ?? "",
    devices,
    openLink: (...how) => new PeerLink(...how),
    lang: lang.value,
  });
  next.on("state", (state) => {
    world.value = state;
  });
  next.on("connection", (state) => {
    connection.value = state;
  });
  next.on("stopped", (reason) => {
    if (reason === "unauthenticated") {
      expired.value = true;
      signOut();
    } else if (reason !== "closed") stopped.value = reason;
  });
  next.on("call", (session) => {
    call.value = session;
    callView.value = session?.view ?? null;
    slots.value = [];
    session?.on("change", (view) => {
      if (call.value === session) callView.value = view;
    });
    session?.on("slots", (list) => {
      slots.value = list;
    });
  });
  for (const attach of attachments) attach(next);
  client.value = next;
  expired.value = false;
  next.connect();
  scheduleRefresh();
}

export function signOut(): void {
  const current = client.value;
  client.value = null;
  current?.close();
  call.value = null;
  callView.value = null;
  world.value = null;
  openChatId.value = null;
  connection.value = "connecting";
  setSession(null);
}

export function watchToken(): void {
  effect(() => {
    if (refreshed.value > 0) client.peek()?.renewToken();
  });
}

export function watchNetwork(): void {
  addEventListener("online", () => client.value?.networkChanged());
  const { connection: network } = navigator as Navigator & { connection?: EventTarget };
  network?.addEventListener("change", () => client.value?.networkChanged());
}

/** What a chat is called: a direct chat has no name of its own and shows the other person. */
export function chatName(chat: Chat): string {
  return chat.name ?? otherMember(chat)?.name ?? chat.members.map(({ name }) => name).join(", ");
}

export function otherMember(chat: Chat): Chat["members"][number] | null {
  if (chat.type !== "direct") return null;
  return chat.members.find(({ id }) => id !== me.value?.id) ?? null;
}

/** Everybody who shares a chat with this person, by name. */
export const acquaintances = computed(() => {
  const byId = new Map(chats.value.flatMap(({ members }) => members.map((member) => [member.id, member] as const)));
  byId.delete(me.value?.id ?? "");
  return [...byId.values()].sort((a, b) => a.name.localeCompare(b.name));
});

export function isOnline(userId: string): boolean {
  const presence = world.value?.presence.get(userId)?.presence;
  return presence === "online" || presence === "in_call";
}
