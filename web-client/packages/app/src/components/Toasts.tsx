import { t } from "../i18n/index.ts";
import { dismissToast, toasts } from "../state/toasts.ts";
import { Icon } from "./Icon.tsx";

export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map(({ id, text, tone, action }) => (
        <div key={id} class={`toast toast-${tone}`} data-testid="toast">
          <p>{text}</p>
          {action && (
            <button
              type="button"
              class="button button-small"
              onClick={() => {
                dismissToast(id);
                action.run();
              }}
            >
              {action.label}
            </button>
          )}
          <button type="button" class="icon-button" aria-label={t("common.close")} onClick={() => dismissToast(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
