/** The value of one sample, named with its labels, in a text of the Prometheus format; 0 where it is not there. */
export function sampleOf(text: string, sample: string): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${sample} `));
  return line === undefined ? 0 : Number(line.slice(sample.length + 1).split(" ")[0]);
}
