import { CAPTURE, type TestNode } from "./nodes.ts";

const TRIGGERS = (how: string): string => `do $$
  declare t record;
  begin
    for t in select tgrelid::regclass as relation, tgname from pg_trigger where tgname like 'tombolo%' and not tgisinternal loop
      execute format('alter table %s ${how} trigger %I', t.relation, t.tgname);
    end loop;
  end $$`;

/**
 * Writes behind the back of capture, as someone does who has disabled the triggers for a while. A slot sees everything: there the write passes for one
 * that came from the node's neighbour, who is not told of it.
 */
export function drift(node: TestNode, sql: string): Promise<void> {
  if (node.node.engine === "postgres" && CAPTURE === "slot") {
    return node.write(`update tombolo.peer set apply_xid = pg_current_xact_id(); ${sql}; update tombolo.peer set apply_xid = null`);
  }
  if (node.node.engine === "postgres") return node.write(`${TRIGGERS("disable")}; ${sql}; ${TRIGGERS("enable always")}`);
  return node.write(`update tombolo_local set skip = 1; ${sql}; update tombolo_local set skip = 0`);
}
