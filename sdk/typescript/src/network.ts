// What a sandbox may reach, as parameters of a verb.

const WORDS = ["open", "none", "host"];

/** What is asked, in Daytona's words. */
export interface Wish {
  networkBlockAll?: boolean;
  networkAllowList?: string;
  domainAllowList?: string;
}

/** `byDefault` is `open`, `none` or targets, with commas between them, and counts where nothing is said. */
export function network(wish: Wish, byDefault: string): { net: string; allow?: string[] } {
  if (wish.networkBlockAll) return { net: "none" };
  const given = [wish.networkAllowList, wish.domainAllowList].filter((one) => one !== undefined);
  if (!given.length && WORDS.includes(byDefault)) return { net: byDefault };
  const allow = (given.length ? given : [byDefault]).flatMap((one) => one.split(",")).map((one) => one.trim()).filter(Boolean);
  // A list without anything in it allows nothing, as it says.
  return allow.length ? { net: "only", allow } : { net: "none" };
}
