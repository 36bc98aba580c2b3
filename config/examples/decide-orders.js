// A module that decides conflicts of orders. In the topology:
//
//   conflict: { policy: module, module: ./decide-orders.js, otherwise: parent_wins }
//
// It runs at the parent only, within a second, and its answer is stored with the conflict. See docs/conflicts.md, "Your own module".

/** An order never goes back: what stands further to the right wins. */
const STATUSES = ["open", "cancelled", "paid", "shipped"];

export default function decide({ kind, base, parent, child }) {
  if (kind === "update_delete") return { take: "parent", reason: "Somebody still works on the order." };
  if (kind === "delete_update") return { take: "child", reason: "Somebody still works on the order." };
  if (base === null) return { take: "open", reason: "Two orders have one number." };
  if (changed("total", base, parent) && changed("total", base, child)) return { take: "open", reason: "Both sides changed the total." };

  const status = [parent.status, child.status].sort((a, b) => STATUSES.indexOf(b) - STATUSES.indexOf(a))[0];
  const note = [parent.note, child.note].filter((text, at, all) => text && all.indexOf(text) === at).join("\n");
  // columns that are not named are as both sides left them
  return { row: { status, note }, reason: "The status that is further on, and both notes." };
}

const changed = (column, base, side) => base[column] !== side[column];
