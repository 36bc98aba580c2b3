import type { Servers } from "./system.ts";

/** pglogical's never answers what `drop database` waits for (2.4.2 on Postgres 15); the server starts it again within seconds. */
export const END_SUPERVISOR = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where backend_type = 'pglogical supervisor'";

/** Says so where one of the two servers has no such extension, or has not loaded it at its start; null where both have it. */
export async function missingExtension(
  servers: Servers,
  name: string,
  { preloaded = false }: { readonly preloaded?: boolean } = {},
): Promise<string | null> {
  const available = await servers.ask(`select name from pg_available_extensions where name = '${name}'`);
  if (available.includes(null)) return `the servers have no extension ${name}`;
  if (!preloaded) return null;
  const libraries = await servers.ask("show shared_preload_libraries");
  const loaded = libraries.every((list) => list?.split(",").some((library) => library.trim() === name));
  return loaded ? null : `${name} is not in shared_preload_libraries`;
}
