const count = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);

/** How many of each are tried; `npm run fuzz` sets them, the long tests take what stands here. */
export const FUZZ = {
  packets: count("TOMBOLO_FUZZ_PACKETS", 100_000),
  topologies: count("TOMBOLO_FUZZ_TOPOLOGIES", 3_000),
  rows: count("TOMBOLO_FUZZ_ROWS", 3_000),
  transactions: count("TOMBOLO_FUZZ_TRANSACTIONS", 400),
  statements: count("TOMBOLO_FUZZ_STATEMENTS", 4_000),
  seed: count("TOMBOLO_SEED", 1),
};
