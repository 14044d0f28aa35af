import type { CallSession, CallView } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { attempt } from "../state/actions.ts";
import { Avatar } from "./Avatar.tsx";
import { Icon } from "./Icon.tsx";

interface Props {
  session: CallSession;
  view: CallView;
}

/** Lets nobody new in, or opens again. */
export function LockButton({ session, view }: Props) {
  if (!view.moderator) return null;
  return (
    <button
      type="button"
      class="button button-small"
      data-testid="lock"
      aria-pressed={view.locked}
      onClick={() => void attempt(session.moderation.lock(!view.locked))}
    >
      <Icon name={view.locked ? "lock" : "unlock"} /> {t(view.locked ? "people.unlock" : "people.lock")}
    </button>
  );
}

/** Who stands at the door, for a moderator to let in or turn away. */
export function WaitingList({ session, view }: Props) {
  if (!view.moderator || view.waiting.length === 0) return null;
  return (
    <section class="waiting-list" data-testid="waiting-list">
      <h3>{t("people.waiting", { n: view.waiting.length })}</h3>
      <ul class="people-list">
        {view.waiting.map(({ id, name, avatar, guest }) => (
          <li key={id} class="person" data-testid="waiter" data-user-id={id}>
            <Avatar id={id} name={name} url={avatar} size="small" />
            <span class="person-name">
              {name}
              {guest && <small>{t("people.guest")}</small>}
            </span>
            <button
              type="button"
              class="button button-small button-primary"
              data-testid="admit"
              aria-label={t("people.admitName", { name })}
              onClick={() => void attempt(session.moderation.admit(id))}
            >
              {t("people.admit")}
            </button>
            <button
              type="button"
              class="icon-button"
              data-testid="deny"
              aria-label={t("people.deny", { name })}
              title={t("people.deny", { name })}
              onClick={() => void attempt(session.moderation.deny(id))}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
