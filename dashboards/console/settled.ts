import { useEffect, useState } from "preact/hooks";

/** The value once it has not changed for a while: so that not every letter of a filter asks the hub. */
export function useSettled<T extends string | null>(value: T, ms = 300): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
