import type { Ring } from "@ringhall/core";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { soundUnlocked } from "../sound/context.ts";
import { accept, decline } from "../state/actions.ts";
import { call, chatName, chats, client, incoming } from "../state/app.ts";
import { Avatar } from "./Avatar.tsx";
import { Icon } from "./Icon.tsx";

/** The oldest ring, over everything; or, while in a call, as a card that does not cover it. */
export function IncomingCall() {
  const ring = incoming.value[0];
  if (!ring) return null;
  return call.value ? <WaitingCall key={ring.callId} ring={ring} /> : <RingDialog key={ring.callId} ring={ring} />;
}

function RingDialog({ ring }: { ring: Ring }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    // A modal dialog is above everything and keeps the focus inside.
    dialog.current?.showModal();
    first.current?.focus();
    // Only where somebody looks: a browser full of tabs need not make an offer in each of them.
    if (document.visibilityState === "visible") client.value?.prepare(ring.callId);
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const { callId, chatId, type } = ring;
  const ringer = ring.invitedBy ?? ring.initiator;
  const video = type === "video";
  return (
    <dialog
      ref={dialog}
      class="ring"
      data-testid="incoming-call"
      data-call-id={callId}
      aria-labelledby="ring-name"
      // Escape is too easily pressed to hang up on somebody.
      onCancel={(event) => event.preventDefault()}
    >
      <div class="ring-body">
        <p class="ring-kind">
          <Icon name={video ? "video" : "phone"} />
          {t(video ? "incoming.video" : "incoming.audio")}
        </p>
        <div class="ring-avatar">
          <Avatar id={ringer.id} name={ringer.name} url={ringer.avatar} size="huge" />
        </div>
        <h2 id="ring-name" class="ring-name">
          {ringer.name}
        </h2>
        <p class="ring-where">{whereOf(ring)}</p>
        <p class="visually-hidden" role="alert">
          {t("incoming.announce", { name: ringer.name })}
        </p>
        {!soundUnlocked.value && (
          <p class="ring-locked">
            <Icon name="sound" /> {t("incoming.soundLocked")}
          </p>
        )}
      </div>
      <div class="ring-actions">
        <RingButton
          kind="decline"
          icon="hangUp"
          label={t("incoming.decline")}
          testId="incoming-decline"
          onClick={() => void decline(callId, false)}
        />
        {video && (
          <RingButton
            kind="quiet"
            icon="videoOff"
            label={t("incoming.acceptAudio")}
            testId="incoming-accept-audio"
            onClick={() => void accept(callId, chatId, false)}
          />
        )}
        <RingButton
          kind="accept"
          icon={video ? "video" : "phone"}
          label={t("incoming.accept")}
          testId="incoming-accept"
          buttonRef={first}
          onClick={() => void accept(callId, chatId, video)}
        />
      </div>
    </dialog>
  );
}

interface RingButtonProps {
  kind: "accept" | "decline" | "quiet";
  icon: Parameters<typeof Icon>[0]["name"];
  label: string;
  testId: string;
  buttonRef?: { current: HTMLButtonElement | null };
  onClick: () => void;
}

function RingButton({ kind, icon, label, testId, buttonRef, onClick }: RingButtonProps) {
  return (
    <button
      type="button"
      class={`ring-button ring-button-${kind}`}
      data-testid={testId}
      {...(buttonRef && { ref: buttonRef })}
      onClick={onClick}
    >
      <span class="ring-button-disc">
        <Icon name={icon} />
      </span>
      <span>{label}</span>
    </button>
  );
}

/** Call waiting. */
function WaitingCall({ ring }: { ring: Ring }) {
  const { callId, chatId, type } = ring;
  const ringer = ring.invitedBy ?? ring.initiator;
  return (
    <section class="waiting" role="alert" data-testid="incoming-call" data-call-id={callId}>
      <Avatar id={ringer.id} name={ringer.name} url={ringer.avatar} />
      <div class="waiting-text">
        <strong>{ringer.name}</strong>
        <span>
          {t(type === "video" ? "incoming.video" : "incoming.audio")} {whereOf(ring)}
        </span>
      </div>
      <button
        type="button"
        class="button button-small button-danger"
        data-testid="incoming-decline"
        onClick={() => void decline(callId, true)}
      >
        {t("incoming.busy")}
      </button>
      <button
        type="button"
        class="button button-small button-primary"
        data-testid="incoming-accept"
        onClick={() => void accept(callId, chatId, type === "video")}
      >
        {t("incoming.leaveAndJoin")}
      </button>
    </section>
  );
}

/** Names the chat of a group call; a direct call is from the person alone. */
function whereOf({ chatId }: Ring): string {
  const chat = chats.value.find(({ id }) => id === chatId);
  return chat && chat.type !== "direct" ? t("incoming.in", { chat: chatName(chat) }) : "";
}
