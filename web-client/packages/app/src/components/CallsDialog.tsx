import { useSignal } from "@preact/signals";
import { type CallEntry, RinghallError } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { shortTime } from "../i18n/format.ts";
import { type Key, lang, t } from "../i18n/index.ts";
import { client, me, world } from "../state/app.ts";
import { rest } from "../state/auth.ts";
import { CallDetailsDialog } from "./CallDetails.tsx";
import { Dialog } from "./Dialog.tsx";
import { outcomeText } from "./history.ts";
import { Icon } from "./Icon.tsx";

/** Opens one's own history of calls; the number beside it is of missed ones that were not looked at. */
export function CallsButton() {
  const open = useSignal(false);
  const missed = world.value?.missedCalls ?? 0;
  const label = missed > 0 ? `${t("calls.title")}, ${t("calls.unseen", { n: missed })}` : t("calls.title");
  return (
    <>
      <button
        type="button"
        class="icon-button icon-badge"
        data-testid="calls"
        aria-label={label}
        title={label}
        onClick={() => {
          open.value = true;
        }}
      >
        <Icon name="phone" />
        {missed > 0 && (
          <span class="badge" data-testid="missed-badge" data-count={missed}>
            {missed > 99 ? "99+" : missed}
          </span>
        )}
      </button>
      {open.value && (
        <CallsDialog
          onClose={() => {
            open.value = false;
          }}
        />
      )}
    </>
  );
}

interface List {
  calls: readonly CallEntry[];
  next: string | null;
}

function CallsDialog({ onClose }: { onClose: () => void }) {
  const missedOnly = useSignal(false);
  const list = useSignal<List | null>(null);
  const failed = useSignal<Key | null>(null);
  const details = useSignal<string | null>(null);
  const load = async (cursor: string | null) => {
    const missed = missedOnly.value;
    try {
      const page = await rest.calls({ ...(missed && { missed }), ...(cursor && { cursor }), limit: 30 });
      if (missed !== missedOnly.value) return;
      list.value = { calls: [...(cursor ? (list.value?.calls ?? []) : []), ...page.calls], next: page.next };
      failed.value = null;
      // Seen is what was shown.
      client.value?.markCallsSeen();
    } catch (error) {
      failed.value = `error.${error instanceof RinghallError ? error.code : "INTERNAL"}`;
    }
  };
  useEffect(() => {
    list.value = null;
    void load(null);
  }, [missedOnly.value]);
  const tab = (missed: boolean, key: Key, testId: string) => (
    <button
      type="button"
      class="button button-small"
      data-testid={testId}
      aria-pressed={missedOnly.value === missed}
      onClick={() => {
        missedOnly.value = missed;
      }}
    >
      {t(key)}
    </button>
  );
  return (
    <Dialog title={t("calls.title")} testId="calls-dialog" onClose={onClose}>
      <div class="calls-tabs">
        {tab(false, "calls.all", "calls-all")}
        {tab(true, "calls.missedOnly", "calls-missed")}
      </div>
      {failed.value && (
        <p class="problem" role="alert">
          {t(failed.value)}
        </p>
      )}
      {list.value?.calls.length === 0 && <p class="hint">{t("calls.none")}</p>}
      <ul class="calls-list">
        {list.value?.calls.map((entry) => (
          <li key={entry.callId}>
            <Entry
              entry={entry}
              onOpen={() => {
                details.value = entry.callId;
              }}
            />
          </li>
        ))}
      </ul>
      {list.value?.next && (
        <button type="button" class="button button-small" onClick={() => void load(list.value?.next ?? null)}>
          {t("calls.more")}
        </button>
      )}
      {details.value && (
        <CallDetailsDialog
          callId={details.value}
          onClose={() => {
            details.value = null;
          }}
        />
      )}
    </Dialog>
  );
}

function Entry({ entry, onOpen }: { entry: CallEntry; onOpen: () => void }) {
  const missed = entry.mine === "missed";
  return (
    <button
      type="button"
      class={missed ? "calls-entry calls-missed" : "calls-entry"}
      data-testid="calls-entry"
      data-mine={entry.mine}
      data-seen={String(entry.seen)}
      onClick={onOpen}
    >
      <span class="call-message-icon">
        <Icon name={missed ? "missed" : entry.type === "video" ? "video" : "phone"} />
      </span>
      <span class="person-name">
        {whoOf(entry)}
        <small>{outcomeText(entry)}</small>
      </span>
      <time dateTime={entry.createdAt}>{shortTime(entry.createdAt, new Date(), lang.value)}</time>
    </button>
  );
}

/** The group's name, or the other person's. */
function whoOf({ chatName, others, othersCount, initiator }: CallEntry): string {
  if (chatName) return chatName;
  const people = initiator.id === me.value?.id ? others : [initiator];
  const names = people.map(({ name }) => name).join(", ");
  return othersCount > others.length && people === others ? `${names}…` : names;
}
