/** What a person reads while the demo runs. */
export const say = (text: string): void => {
  if (text !== "") process.stdout.write(`${text}\n`);
};

export const heading = (text: string): void => say(`\n— ${text}`);

export const indent = (text: string): string =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");

/** The first lines of a long answer. */
export function excerpt(text: string, lines: number): string {
  const all = text.trimEnd().split("\n");
  return all.length <= lines ? all.join("\n") : [...all.slice(0, lines), `… and ${all.length - lines} more lines`].join("\n");
}

export const count = (number: number, one: string): string => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;

export const seconds = (value: number): string => (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
