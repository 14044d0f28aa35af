import { Icon, type IconName } from "./Icon.tsx";

interface Props {
  testId: string;
  icon: IconName;
  label: string;
  /** A switch: whether it is on. */
  on?: boolean;
  /** What it opens is open. */
  expanded?: boolean;
  /** The key that does the same. */
  keys?: string;
  /** A number to notice; 0 is not shown. */
  badge?: number;
  badgeLabel?: string;
  look?: "warn" | "accent" | "leave" | "end" | undefined;
  onClick: () => void;
}

/** A round button at the foot of a call. */
export function ControlButton({
  testId,
  icon,
  label,
  on,
  expanded,
  keys,
  badge = 0,
  badgeLabel,
  look,
  onClick,
}: Props) {
  return (
    <button
      type="button"
      class={`control ${look ? `control-${look}` : ""}`}
      data-testid={testId}
      aria-pressed={on}
      aria-expanded={expanded}
      aria-label={badge > 0 && badgeLabel ? `${label}, ${badgeLabel}` : label}
      title={keys ? `${label} (${keys})` : label}
      onClick={onClick}
    >
      <span class="control-disc">
        <Icon name={icon} />
        {badge > 0 && (
          <span class="control-badge" data-testid={`${testId}-badge`}>
            {badge > 99 ? "99+" : badge}
          </span>
        )}
      </span>
      <span class="control-label">{label}</span>
    </button>
  );
}
