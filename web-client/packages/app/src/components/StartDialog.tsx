import { useSignal } from "@preact/signals";
import { t } from "../i18n/index.ts";
import { chatName, isOnline } from "../state/app.ts";
import { answer, others, type Question, question } from "../state/start.ts";
import { Dialog } from "./Dialog.tsx";
import { PersonPicker } from "./PersonPicker.tsx";

/** What is asked before a ring. */
export function StartDialog() {
  const asked = question.value;
  if (!asked) return null;
  return asked.kind === "choose" ? <Choose asked={asked} /> : <Offline asked={asked} />;
}

const close = () => {
  question.value = null;
};

function Offline({ asked: { chat } }: { asked: Question }) {
  const direct = chat.type === "direct";
  const name = chatName(chat);
  return (
    <Dialog title={t("call.ringAnyway")} testId="ring-anyway" onClose={close}>
      <p>
        {direct ? t("call.notOnline", { name }) : t("call.nobodyOnline", { name })}. {t("call.notOnlineHint")}
      </p>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={close}>
          {t("common.cancel")}
        </button>
        <button type="button" class="button button-primary" data-testid="ring-anyway-yes" onClick={() => answer()}>
          {t("call.ringAnywayYes")}
        </button>
      </div>
    </Dialog>
  );
}

function Choose({ asked: { chat, most } }: { asked: Question }) {
  const everybody = others(chat);
  const chosen = useSignal<ReadonlySet<string>>(
    new Set(everybody.length <= most ? everybody.filter(({ id }) => isOnline(id)).map(({ id }) => id) : []),
  );
  const n = chosen.value.size;
  const all = everybody.length <= most;
  return (
    <Dialog title={t("call.whom")} testId="choose-callees" onClose={close}>
      <PersonPicker
        people={everybody}
        chosen={chosen.value}
        onToggle={(id) => {
          const next = new Set(chosen.value);
          if (!next.delete(id)) next.add(id);
          chosen.value = next;
        }}
      />
      <p class={n > most ? "problem" : "hint"} role="status">
        {n > most ? t("call.tooMany", { n: most }) : t("call.chosen", { n })}
      </p>
      <div class="dialog-actions">
        {all && (
          <button type="button" class="button" data-testid="ring-all" onClick={() => answer()}>
            {t("call.ringAll")}
          </button>
        )}
        <button
          type="button"
          class="button button-primary"
          data-testid="ring-chosen"
          disabled={n === 0 || n > most}
          onClick={() => answer([...chosen.value])}
        >
          {t("call.ringChosen")}
        </button>
      </div>
    </Dialog>
  );
}
