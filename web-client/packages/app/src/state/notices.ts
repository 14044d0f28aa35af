import { type CallSession, type EventBody, type RinghallClient, RinghallError, type Waiter } from "@ringhall/core";
import { type Key, lang, t } from "../i18n/index.ts";
import { playTone } from "../sound/tones.ts";
import { chats, me, onClient } from "./app.ts";
import { panel } from "./panel.ts";
import { dismissAll, toast } from "./toasts.ts";

const COLLECT_MS = 1_500;

/** Says in words why something did not work. Everything a person starts ends here when it fails. */
export function tellError(error: unknown): void {
  const code = error instanceof RinghallError ? error.code : "INTERNAL";
  toast(t(`error.${code}` satisfies Key), "bad");
}

/** Reasons of an end that a person should be told, beyond that it is over. */
const END_REASONS: Partial<Record<string, Key>> = {
  connection_lost: "toast.connectionLost",
  media_failed: "toast.mediaFailed",
  server_lost: "toast.serverLost",
  max_duration: "toast.maxDuration",
};

function onEvent(client: RinghallClient, event: EventBody, rang: ReadonlySet<string>): void {
  switch (event.op) {
    case "call_rejected": {
      if (event.d.userId === me.value?.id) return;
      const key: Key = `toast.${event.d.reason}`;
      toast(t(key, { name: event.d.userName }), "bad");
      playTone("declined");
      return;
    }
    case "call_missed":
      toast(t("toast.missed", { name: event.d.initiator.name }));
      return;
    case "call_answered_elsewhere":
      if (rang.has(event.d.callId) && event.d.device !== client.device) toast(t("toast.elsewhere"));
      return;
    case "call_ended": {
      const key = END_REASONS[event.d.reason];
      if (key && chats.value.some(({ id }) => id === event.d.chatId)) toast(t(key), "bad");
      return;
    }
  }
}

/** Says in one sentence who came, or went, within a moment: in a large call people come all the time. */
function collected(one: Key, many: Key): (name: string) => void {
  let names: string[] = [];
  return (name) => {
    names.push(name);
    if (names.length > 1) return;
    setTimeout(() => {
      const list = new Intl.ListFormat(lang.value).format(names);
      toast(names.length === 1 ? t(one, { name: list }) : t(many, { names: list }));
      names = [];
    }, COLLECT_MS);
  };
}

/** Says once of each person that they wait to be let in, with a way to do it. */
function newAtTheDoor(): (waiting: readonly Waiter[]) => void {
  let known = new Set<string>();
  return (waiting) => {
    const fresh = waiting.filter(({ id }) => !known.has(id));
    known = new Set(waiting.map(({ id }) => id));
    const [first] = fresh;
    if (!first) return;
    const text = fresh.length > 1 ? t("toast.knockMany", { n: fresh.length }) : t("toast.knock", { name: first.name });
    const show = () => {
      panel.value = "people";
    };
    if (panel.value !== "people") toast(text, "info", { label: t("toast.knockShow"), run: show });
    playTone("accepted");
  };
}

function onSession(session: CallSession): void {
  let answered = session.view.talkingSince !== null;
  session.on("change", (view) => {
    if (!answered && view.talkingSince !== null && view.outgoing) playTone("accepted");
    answered ||= view.talkingSince !== null;
  });
  session.on("problem", ({ source, problem }) => {
    if (source !== "screenAudio") toast(t(`device.${source}.${problem}`), "bad");
  });
  session.on("mutedByModerator", ({ by, muted }) => {
    toast(t(muted ? "toast.mutedBy" : "toast.unmutedBy", { name: by.name }));
  });
  session.on("refused", tellError);
  // From the session, not from the message: who waited already is told of before this tab knows that it is in the call.
  const knocked = newAtTheDoor();
  session.on("change", ({ waiting }) => knocked(waiting));
}

onClient((client) => {
  /** Calls that this tab showed ringing. */
  const rang = new Set<string>();
  client.on("state", ({ incoming }) => {
    for (const { callId } of incoming) rang.add(callId);
  });
  client.on("event", (event) => onEvent(client, event, rang));
  client.on("call", (session) => {
    if (!session) return;
    dismissAll();
    onSession(session);
  });
  const joined = collected("toast.joined", "toast.joinedMany");
  const left = collected("toast.left", "toast.leftMany");
  client.on("realtime", (event) => {
    if (event.op === "call_locked" && event.d.callId === client.call?.callId) {
      if (event.d.by.id === me.value?.id) return;
      toast(t(event.d.locked ? "toast.locked" : "toast.unlocked", { name: event.d.by.name }));
      return;
    }
    // Two people see for themselves that the other one came or went.
    const chat = chats.value.find(({ id }) => id === client.call?.view.chatId);
    if (chat?.type === "direct" || !("callId" in event.d) || event.d.callId !== client.call?.callId) return;
    if (event.op !== "call_participant_joined" && event.op !== "call_participant_left") return;
    if (event.d.userId === me.value?.id) return;
    if (event.op === "call_participant_joined") joined(event.d.userName);
    else if (event.d.status === "left") left(event.d.userName);
    else if (event.d.status === "kicked" && event.d.by !== me.value?.id) {
      const by = client.call?.view.participants.find(({ id }) => event.d.by === id)?.name;
      toast(
        by ? t("toast.removedBy", { name: by, who: event.d.userName }) : t("toast.removed", { name: event.d.userName }),
      );
    }
  });
});
