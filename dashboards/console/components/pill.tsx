import type { ComponentChildren } from "preact";

export type Tone = "good" | "busy" | "warn" | "bad" | "idle";

const TONES: Readonly<Record<string, Tone>> = {
  up: "good",
  live: "good",
  done: "good",
  resolved: "good",
  in_force: "good",
  equal: "good",
  joining: "busy",
  snapshot: "busy",
  running: "busy",
  requested: "busy",
  enrolled: "idle",
  new: "idle",
  paused: "warn",
  lagging: "warn",
  open: "warn",
  cancelled: "idle",
  interrupted: "warn",
  not_ready: "warn",
  parked: "warn",
  must_resync: "bad",
  down: "bad",
  failed: "bad",
  expired: "idle",
  revoked: "idle",
  redeemed: "idle",
};

const SYMBOLS: Readonly<Record<Tone, string>> = { good: "●", busy: "◐", warn: "▲", bad: "■", idle: "○" };

export const toneOf = (state: string): Tone => TONES[state] ?? "idle";

/** A state in a word, with a symbol and a colour: never by colour alone. */
export function Pill({ state, tone = toneOf(state), children }: { state: string; tone?: Tone; children?: ComponentChildren }) {
  return (
    <span class={`pill pill-${tone}`}>
      <span aria-hidden="true">{SYMBOLS[tone]}</span> {children ?? state.replaceAll("_", " ")}
    </span>
  );
}
