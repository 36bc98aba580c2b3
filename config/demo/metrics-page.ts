export interface Sample {
  readonly name: string;
  readonly labels: { readonly [name: string]: string };
  readonly value: number;
}

/** Fetches and reads a page of Prometheus metrics; empty while nobody answers. */
export async function readMetrics(url: string): Promise<readonly Sample[]> {
  const page = await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
    (response) => (response.ok ? response.text() : ""),
    () => "",
  );
  return page
    .split("\n")
    .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, name = "", labels = "", value = ""]) => ({ name, labels: readLabels(labels), value: Number(value) }));
}

const readLabels = (text: string): { [name: string]: string } =>
  Object.fromEntries([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = "", value = ""]) => [name, value]));

export const total = (samples: readonly Sample[], name: string): number =>
  samples.filter((sample) => sample.name === name).reduce((sum, sample) => sum + sample.value, 0);
