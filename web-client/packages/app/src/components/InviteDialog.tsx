import { useSignal } from "@preact/signals";
import type { CallSession, CallView } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { attempt } from "../state/actions.ts";
import { acquaintances } from "../state/app.ts";
import { toast } from "../state/toasts.ts";
import { Dialog } from "./Dialog.tsx";
import { PersonPicker } from "./PersonPicker.tsx";

interface Props {
  session: CallSession;
  view: CallView;
  onClose: () => void;
}

/** Rings further people into the call: anybody one knows who is not in it. */
export function InviteDialog({ session, view, onClose }: Props) {
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const here = new Set(view.participants.map(({ id }) => id));
  const people = acquaintances.value.filter(({ id }) => !here.has(id));
  const invite = () => {
    const names = people.filter(({ id }) => chosen.value.has(id)).map(({ name }) => name);
    const inviting = [...chosen.value].map((id) => session.moderation.invite(id));
    void attempt(Promise.all(inviting).then(() => toast(t("people.invited", { names: names.join(", ") }))));
    onClose();
  };
  return (
    <Dialog title={t("people.inviteTitle")} testId="invite-dialog" onClose={onClose}>
      <PersonPicker
        people={people}
        chosen={chosen.value}
        onToggle={(id) => {
          const next = new Set(chosen.value);
          if (!next.delete(id)) next.add(id);
          chosen.value = next;
        }}
      />
      <p class="hint">{t("people.inviteHint")}</p>
      <div class="dialog-actions">
        <button
          type="button"
          class="button button-primary"
          data-testid="invite-yes"
          disabled={chosen.value.size === 0}
          onClick={invite}
        >
          {t("people.inviteYes", { n: chosen.value.size })}
        </button>
      </div>
    </Dialog>
  );
}
