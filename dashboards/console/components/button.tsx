import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { toastError } from "./toast.tsx";

export interface ButtonProps {
  readonly children: ComponentChildren;
  /** Where it answers a promise the button is busy until then, and tells what it throws. */
  readonly onClick?: () => unknown;
  readonly kind?: "plain" | "primary" | "danger" | "quiet";
  readonly type?: "button" | "submit";
  readonly disabled?: boolean;
  readonly busy?: boolean;
  /** Where the text alone does not say what of, for screen readers. */
  readonly label?: string;
}

export function Button({ children, onClick, kind = "plain", type = "button", disabled = false, busy = false, label }: ButtonProps) {
  const [running, setRunning] = useState(false);
  const here = useRef(true);
  useEffect(
    () => () => {
      here.current = false;
    },
    [],
  );
  const isBusy = busy || running;
  const click = async (): Promise<void> => {
    if (onClick === undefined || isBusy) return;
    setRunning(true);
    try {
      await onClick();
    } catch (error) {
      toastError(error);
    } finally {
      if (here.current) setRunning(false);
    }
  };
  return (
    <button
      type={type}
      class={`button button-${kind}`}
      disabled={disabled}
      aria-disabled={isBusy || undefined}
      aria-busy={isBusy || undefined}
      aria-label={label}
      onClick={onClick === undefined ? undefined : () => void click()}
    >
      {isBusy && <span class="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}
