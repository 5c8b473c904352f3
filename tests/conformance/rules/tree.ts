/**
 * Rules of GetTree.
 *
 * @module
 */

import { type Context, type Digest, digestMsg, digestOf, EMPTY, METHOD } from "../context.ts";
import { Fields, msg } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, type Rule, rulesThatNeed, SOURCE, status } from "../rule.ts";
import type { Reply } from "../wire.ts";

const { must, should } = rulesThatNeed("cache");
const TREE = SOURCE.reapi("ContentAddressableStorage.GetTree");
const PAGE = SOURCE.reapi("GetTreeRequest.page_size");
const TOKEN = SOURCE.reapi("GetTreeRequest.page_token");

/** A Directory of these subdirectories, that is like no other. */
function directory(ctx: Context, children: Readonly<Record<string, Digest>> = {}): Uint8Array {
  const nodes = Object.entries(children).sort(([a], [b]) => a < b ? -1 : 1);
  return msg({
    1: [msg({ 1: `file-${ctx.freshText()}`, 2: digestMsg(EMPTY) })],
    2: nodes.map(([name, digest]) => msg({ 1: name, 2: digestMsg(digest) })),
  });
}

/** A tree of seven directories: two below the root, two below each of these. */
function tree(ctx: Context): { readonly root: Uint8Array; readonly all: readonly Uint8Array[] } {
  const leaves = Array.from({ length: 4 }, () => directory(ctx));
  const inner = [0, 2].map((i) => directory(ctx, { x: digestOf(leaves[i]), y: digestOf(leaves[i + 1]) }));
  const root = directory(ctx, { a: digestOf(inner[0]), b: digestOf(inner[1]) });
  return { root, all: [root, ...inner, ...leaves] };
}

interface Page {
  readonly directories: readonly Uint8Array[];
  readonly token: string;
}

function pages(reply: Reply): Page[] {
  status(reply, "OK", "GetTree");
  return reply.messages.map((message) => {
    const page = Fields.parse(message);
    return { directories: page.bytesAll(1), token: page.str(2) };
  });
}

function getTree(
  ctx: Context,
  root: Digest,
  more: { readonly pageSize?: number; readonly token?: string } = {},
) {
  return ctx.call(METHOD.tree, {
    1: ctx.instance,
    2: digestMsg(root),
    3: more.pageSize ?? 0,
    4: more.token ?? "",
  });
}

/** Hashes of directories, each once, in order. */
function hashes(directories: readonly Uint8Array[]): string[] {
  return [...new Set(directories.map((bytes) => digestOf(bytes).hash))].sort();
}

/** All pages, asking again with the token of the last one as long as there is one. */
async function everything(ctx: Context, root: Digest, pageSize = 0): Promise<Page[]> {
  const all: Page[] = [];
  for (let token = "", round = 0; round < 100; round++) {
    const got = pages(await getTree(ctx, root, { pageSize, token }));
    all.push(...got);
    token = got.at(-1)?.token ?? "";
    if (token === "") return all;
  }
  check(false, "After 100 requests there is still a next_page_token");
}

/** Rules of GetTree. */
export const TREE_RULES: readonly Rule[] = [
  must("TREE-01", "Every directory from the root down is returned, byte for byte", TREE, async (ctx) => {
    const { root, all } = tree(ctx);
    await ctx.putAll(all);
    const got = await everything(ctx, digestOf(root));
    equal(hashes(got.flatMap(({ directories }) => directories)), hashes(all), "Directories");
  }),
  must("TREE-02", "A root that is not stored is NOT_FOUND", TREE, async (ctx) => {
    status(await getTree(ctx, ctx.absent(100)), "NOT_FOUND", "GetTree");
  }),
  must("TREE-03", "A subtree that is missing is left out, and the rest returned", TREE, async (ctx) => {
    const { root, all } = tree(ctx);
    // Without the first inner directory, which is the only way to its two leaves; and without one leaf of the other.
    const stored = [all[0], all[2], all[3], all[4], all[5]];
    await ctx.putAll(stored);
    const got = await everything(ctx, digestOf(root));
    equal(
      hashes(got.flatMap(({ directories }) => directories)),
      hashes([all[0], all[2], all[5]]),
      "Directories",
    );
  }),
  must("TREE-04", "No page has more than page_size directories", PAGE, async (ctx) => {
    const { root, all } = tree(ctx);
    await ctx.putAll(all);
    for (const size of [1, 3]) {
      const got = await everything(ctx, digestOf(root), size);
      const most = Math.max(...got.map(({ directories }) => directories.length));
      check(most <= size, `A page has ${most} directories where page_size is ${size}`);
      equal(hashes(got.flatMap(({ directories }) => directories)), hashes(all), "Directories");
    }
  }),
  must("TREE-05", "A next_page_token of any page leads to the pages after it", TOKEN, async (ctx) => {
    const { root, all } = tree(ctx);
    await ctx.putAll(all);
    const got = await everything(ctx, digestOf(root), 2);
    for (const [i, { token }] of got.entries()) {
      if (token === "") continue;
      const seen = got.slice(0, i + 1).flatMap(({ directories }) => directories);
      const rest: Uint8Array[] = [];
      for (let next = token, round = 0; next !== "" && round < 20; round++) {
        const more = pages(await getTree(ctx, digestOf(root), { pageSize: 2, token: next }));
        rest.push(...more.flatMap(({ directories }) => directories));
        next = more.at(-1)?.token ?? "";
      }
      equal(hashes([...seen, ...rest]), hashes(all), `Directories up to page ${i + 1} and after its token`);
      check(rest.length < all.length, `The token of page ${i + 1} leads back to the start`);
    }
  }),
  must(
    "TREE-06",
    "The last page has no next_page_token",
    SOURCE.reapi("GetTreeResponse.next_page_token"),
    async (ctx) => {
      const { root, all } = tree(ctx);
      await ctx.putAll(all);
      equal((await everything(ctx, digestOf(root))).at(-1)?.token, "", "next_page_token");
    },
  ),
  must(
    "TREE-07",
    "The empty Directory is a tree, though nobody stored it",
    SOURCE.reapi("ContentAddressableStorage (empty blobs are always available)"),
    async (ctx) => {
      const got = await everything(ctx, EMPTY);
      equal(hashes(got.flatMap(({ directories }) => directories)), [EMPTY.hash], "Directories");
    },
  ),
  must("TREE-08", "A directory that is reached by two ways is returned", TREE, async (ctx) => {
    const shared = directory(ctx);
    const middle = directory(ctx, { s: digestOf(shared) });
    const root = directory(ctx, { a: digestOf(middle), b: digestOf(middle), c: digestOf(shared) });
    await ctx.putAll([root, middle, shared]);
    const got = await everything(ctx, digestOf(root));
    equal(
      hashes(got.flatMap(({ directories }) => directories)),
      hashes([root, middle, shared]),
      "Directories",
    );
  }),
  should("TREE-09", "A page_token that the server never gave is INVALID_ARGUMENT", TOKEN, async (ctx) => {
    const { root, all } = tree(ctx);
    await ctx.putAll(all);
    status(await getTree(ctx, digestOf(root), { token: "no such token" }), "INVALID_ARGUMENT", "GetTree");
  }),
  should(
    "TREE-10",
    "A negative page_size is INVALID_ARGUMENT",
    SOURCE.rpcCode("INVALID_ARGUMENT"),
    async (ctx) => {
      const { root, all } = tree(ctx);
      await ctx.putAll(all);
      status(await getTree(ctx, digestOf(root), { pageSize: -1 }), "INVALID_ARGUMENT", "GetTree");
    },
  ),
  should("TREE-11", "A root that is no Directory is a client's mistake", TREE, async (ctx) => {
    const root = await ctx.put(new Uint8Array([0xff, ...ctx.fresh(50)]));
    status(await getTree(ctx, root), CLIENT_FAULTS, "GetTree of random bytes");
  }),
  must("TREE-12", "A root that is no digest is a client's mistake", SOURCE.reapi("Digest"), async (ctx) => {
    status(await getTree(ctx, { hash: "abc", size: 3 }), CLIENT_FAULTS, "GetTree");
    status(await ctx.call(METHOD.tree, { 1: ctx.instance }), CLIENT_FAULTS, "GetTree without a root_digest");
  }),
  should("TREE-13", "A tree of thousands of directories is returned in full", TREE, async (ctx) => {
    const leaves = Array.from({ length: 2500 }, () => directory(ctx));
    const root = directory(ctx, Object.fromEntries(leaves.map((leaf, i) => [`d${i}`, digestOf(leaf)])));
    await ctx.putAll([root, ...leaves]);
    const got = await everything(ctx, digestOf(root));
    equal(got.flatMap(({ directories }) => directories).length, 2501, "Number of directories");
  }),
];
