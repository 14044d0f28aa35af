import { useSignal } from "@preact/signals";
import { type CallSession, type CallView, type Chat, isSeated, type RosterEntry, raisedHands } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { attempt } from "../state/actions.ts";
import { me } from "../state/app.ts";
import { Avatar } from "./Avatar.tsx";
import { Dialog } from "./Dialog.tsx";
import { Icon, type IconName } from "./Icon.tsx";
import { InviteDialog } from "./InviteDialog.tsx";
import { RoomTools } from "./RoomTools.tsx";
import { LockButton, WaitingList } from "./WaitingList.tsx";

interface Props {
  session: CallSession;
  view: CallView;
}

interface PanelProps extends Props {
  chat: Chat | undefined;
}

/** Who is in the call, who waits, whose hand is up; and what a moderator may do about it. */
export function PeoplePanel({ session, view, chat }: PanelProps) {
  const inviting = useSignal(false);
  const leaving = useSignal<RosterEntry | null>(null);
  const hands = raisedHands(view.participants);
  const seated = view.participants.filter(isSeated);
  const rung = view.participants.filter((entry) => !isSeated(entry));
  const row = (entry: RosterEntry) => (
    <Person key={entry.id} entry={entry} session={session} view={view} onRemove={() => (leaving.value = entry)} />
  );
  return (
    <div class="people" data-testid="people-panel">
      <div class="people-tools">
        <button
          type="button"
          class="button button-small"
          data-testid="invite"
          onClick={() => {
            inviting.value = true;
          }}
        >
          <Icon name="add" /> {t("people.invite")}
        </button>
        <LockButton session={session} view={view} />
      </div>
      {chat?.type === "room" && chat.name && <RoomTools name={chat.name} chat={chat} />}
      <WaitingList session={session} view={view} />
      {hands.length > 0 && (
        <section>
          <h3>{t("people.hands")}</h3>
          <ol class="people-list" data-testid="raised-hands">
            {hands.map(({ id, name }, i) => (
              <li key={id} class="person" data-testid="raised-hand" data-user-id={id}>
                <span class="person-place">{i + 1}</span>
                <span class="person-name">{name}</span>
                {view.moderator && id !== me.value?.id && (
                  <PersonButton
                    icon="handOff"
                    testId="lower-hand"
                    label={t("people.lowerHand", { name })}
                    onClick={() => void attempt(session.moderation.lowerHand(id))}
                  />
                )}
              </li>
            ))}
          </ol>
        </section>
      )}
      <section>
        <h3>{t("people.inCall", { n: seated.length })}</h3>
        <ul class="people-list">{seated.map(row)}</ul>
      </section>
      {rung.length > 0 && (
        <section>
          <h3>{t("people.rung")}</h3>
          <ul class="people-list">{rung.map(row)}</ul>
        </section>
      )}
      {inviting.value && (
        <InviteDialog
          session={session}
          view={view}
          onClose={() => {
            inviting.value = false;
          }}
        />
      )}
      {leaving.value && (
        <RemoveDialog
          session={session}
          entry={leaving.value}
          onClose={() => {
            leaving.value = null;
          }}
        />
      )}
    </div>
  );
}

function Person({ entry, session, view, onRemove }: Props & { entry: RosterEntry; onRemove: () => void }) {
  const { id, name, avatar, sources, moderator } = entry;
  const self = id === me.value?.id;
  const muted = self ? !view.mic : !sources.mic;
  const may = view.moderator && !self;
  const enforced = sources.mutedBy !== null;
  return (
    <li
      class="person"
      data-testid="person"
      data-user-id={id}
      data-muted={String(muted)}
      data-enforced={String(enforced)}
    >
      <Avatar id={id} name={name} url={avatar} size="small" />
      <span class="person-name">
        {self ? t("common.youSuffix", { name }) : name}
        {moderator && <small>{t("people.moderator")}</small>}
        {enforced && <small>{t("people.mutedBy", { name: nameOf(view, sources.mutedBy) })}</small>}
      </span>
      {isSeated(entry) && may && (
        <PersonButton
          icon={enforced ? "mic" : "micOff"}
          testId={enforced ? "unmute-person" : "mute-person"}
          label={t(enforced ? "people.unmute" : "people.mute", { name })}
          onClick={() => void attempt(enforced ? session.moderation.unmute(id) : session.moderation.mute(id))}
        />
      )}
      {isSeated(entry) && !may && (
        <span class="person-state" title={t(muted ? "people.isMuted" : "people.speaks")}>
          <Icon name={muted ? "micOff" : "mic"} />
          <span class="visually-hidden">{t(muted ? "people.isMuted" : "people.speaks")}</span>
        </span>
      )}
      {may && <PersonButton icon="remove" testId="kick" label={t("people.remove", { name })} onClick={onRemove} />}
    </li>
  );
}

function nameOf(view: CallView, id: string | null): string {
  return view.participants.find((entry) => entry.id === id)?.name ?? "";
}

interface ButtonProps {
  icon: IconName;
  testId: string;
  label: string;
  onClick: () => void;
}

function PersonButton({ icon, testId, label, onClick }: ButtonProps) {
  return (
    <button type="button" class="icon-button" data-testid={testId} aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

/** There is no way back but an invitation, so it is asked once. */
function RemoveDialog({ session, entry, onClose }: { session: CallSession; entry: RosterEntry; onClose: () => void }) {
  return (
    <Dialog title={t("people.removeTitle", { name: entry.name })} testId="kick-dialog" onClose={onClose}>
      <p>{t("people.removeHint")}</p>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          {t("common.cancel")}
        </button>
        <button
          type="button"
          class="button button-danger"
          data-testid="kick-yes"
          onClick={() => {
            void attempt(session.moderation.kick(entry.id));
            onClose();
          }}
        >
          {t("people.removeYes")}
        </button>
      </div>
    </Dialog>
  );
}
