import pg from "pg";

/** The settings under which the product reads and writes Postgres. */
const PINS = [
  "set timezone = 'UTC'",
  "set datestyle = 'ISO, YMD'",
  "set intervalstyle = 'postgres'",
  "set bytea_output = 'hex'",
  "set extra_float_digits = 1",
  "set lc_monetary = 'C'",
];

export async function pin(client: pg.Client): Promise<void> {
  for (const statement of PINS) await client.query(statement);
}

/** A connection as the product opens it. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await pin(client);
  return client;
}
