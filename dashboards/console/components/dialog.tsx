import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Button } from "./button.tsx";

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** Above everything else; the browser keeps the focus inside, gives it back afterwards, and Escape closes it. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      class="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

export interface Question {
  readonly title: string;
  readonly body: ComponentChildren;
  /** What the button that does it says, a verb: `Cancel the full sync`. */
  readonly action: string;
  readonly danger?: boolean;
  readonly keep?: string;
}

const asked = signal<(Question & { answer(yes: boolean): void }) | null>(null);

/** Asks before something is done that cannot be undone. */
export function confirm(question: Question): Promise<boolean> {
  asked.peek()?.answer(false);
  return new Promise((resolve) => {
    asked.value = {
      ...question,
      answer(yes) {
        asked.value = null;
        resolve(yes);
      },
    };
  });
}

/** Where `confirm` asks. */
export function Confirmation() {
  const question = asked.value;
  if (question === null) return null;
  const { title, body, action, danger = false, keep = "Leave it as it is", answer } = question;
  return (
    <Dialog title={title} onClose={() => answer(false)}>
      <div class="dialog-body">{body}</div>
      <div class="actions actions-end">
        <Button onClick={() => answer(false)}>{keep}</Button>
        <Button kind={danger ? "danger" : "primary"} onClick={() => answer(true)}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
