/**
 * `deno task conformance grpc://host:port`: holds a Remote Execution server to the rules of the API, and prints which it
 * keeps. Exits with 1 when one is broken that every server must keep, with 2 when it could not be asked.
 *
 * @module
 */

import { heading, jsonReport, summary, totals, verdictLines } from "./report.ts";
import { Broken, type Rule } from "./rule.ts";
import { groupOf, RULES } from "./rules.ts";
import { Target, type TargetOptions, type Verdict } from "./runner.ts";

const USAGE = `Usage: deno task conformance <grpc://host:port | grpcs://host:port> [flags]

  --instance=NAME         instance name of every request; empty by default
  --only=ID[,ID...]       rules or groups, such as READ-03 or READ
  --platform=NAME=VALUE   property that actions need to be run there; may come more than once
  --header=NAME:VALUE     header of every call, such as authorization; may come more than once
  --ca=FILE               certificates to trust (PEM), for grpcs://
  --cert=FILE --key=FILE  the client's own certificate (PEM)
  --action-timeout=SEC    longest that an action may take, queueing included; 60 by default
  --jobs=N                rules checked at the same time; 1 by default
  --json                  print JSON
  --list                  print the rules and end
`;

/** A wrong command line. */
class UsageError extends Error {}

interface Flags {
  readonly endpoint: string;
  readonly json: boolean;
  readonly list: boolean;
  readonly jobs: number;
  readonly rules: readonly Rule[];
  readonly target: TargetOptions;
}

const SWITCHES = ["json", "list", "help"];
const VALUES = ["instance", "only", "platform", "header", "ca", "cert", "key", "action-timeout", "jobs"];

function split(args: readonly string[]): { words: string[]; values: Map<string, string[]> } {
  const words: string[] = [];
  const values = new Map<string, string[]>();
  for (const arg of args) {
    if (!arg.startsWith("--")) {
      words.push(arg);
      continue;
    }
    const [, name, , value] = /^--([a-z-]+)(=([\s\S]*))?$/.exec(arg) ?? [];
    const known = value === undefined ? SWITCHES : VALUES;
    if (name === undefined || !known.includes(name)) throw new UsageError(`${arg} is no flag`);
    values.set(name, [...values.get(name) ?? [], value ?? ""]);
  }
  return { words, values };
}

/** The rules that `--only` names. */
export function select(only: string | undefined): Rule[] {
  if (only === undefined) return [...RULES];
  return only.split(",").flatMap((word) => {
    const wanted = word.trim().toUpperCase();
    const found = RULES.filter(({ id }) => id === wanted || groupOf(id) === wanted);
    if (found.length === 0) throw new UsageError(`${word} names no rule and no group`);
    return found;
  });
}

/** Host, port and whether TLS is spoken. */
export function parseEndpoint(text: string): { host: string; port: number; tls: boolean } {
  const match = /^(grpcs?):\/\/(\[[0-9a-fA-F:]+\]|[^/:]+)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null) {
    throw new UsageError(`${text} is no endpoint; write grpc://host:port or grpcs://host:port`);
  }
  const tls = match[1] === "grpcs";
  return { host: match[2].replace(/^\[|\]$/g, ""), port: Number(match[3] ?? (tls ? 443 : 80)), tls };
}

function pair(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  if (at <= 0) throw new UsageError(`${text} has no ${separator}`);
  return [text.slice(0, at), text.slice(at + 1).trim()];
}

async function parse(args: readonly string[]): Promise<Flags> {
  const { words, values } = split(args);
  if (values.has("help")) throw new UsageError("");
  const one = (name: string) => values.get(name)?.at(-1);
  const list = values.has("list");
  if (words.length !== 1 && !list) throw new UsageError("Name one endpoint");
  const endpoint = words[0] ?? "grpc://localhost:1";
  const { host, port, tls } = parseEndpoint(endpoint);
  const file = async (name: string) => {
    const path = one(name);
    return path === undefined ? undefined : await Deno.readTextFile(path);
  };
  const pem = { ca: await file("ca"), cert: await file("cert"), key: await file("key") };
  if (!tls && (pem.ca ?? pem.cert ?? pem.key) !== undefined) {
    throw new UsageError("Certificates need grpcs://");
  }
  const seconds = Number(one("action-timeout") ?? 60);
  if (!(seconds > 0)) throw new UsageError("--action-timeout must be above 0");
  const jobs = Number(one("jobs") ?? 1);
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 64) throw new UsageError("--jobs must be from 1 to 64");
  return {
    endpoint,
    jobs,
    json: values.has("json"),
    list,
    rules: select(one("only")),
    target: {
      wire: {
        host,
        port,
        tls: tls ? pem : undefined,
        headers: Object.fromEntries((values.get("header") ?? []).map((text) => pair(text, ":"))),
      },
      instance: one("instance") ?? "",
      platform: (values.get("platform") ?? []).map((text) => pair(text, "=")),
      actionTimeoutMs: seconds * 1000,
    },
  };
}

/** Tells of each group and verdict as it comes. */
async function tell(promises: readonly Promise<Verdict>[], say: (line: string) => void): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  let group = "";
  for (const promise of promises) {
    const verdict = await promise;
    if (groupOf(verdict.rule.id) !== group) {
      group = groupOf(verdict.rule.id);
      say(`\n${heading(group)}`);
    }
    verdicts.push(verdict);
    for (const line of verdictLines(verdict)) say(line);
  }
  return verdicts;
}

/** The whole program; gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const flags = await parse(args);
    if (flags.list) {
      for (const { id, level, title, source } of flags.rules) {
        console.log(`${id}\t${level}\t${title}\t${source}`);
      }
      return 0;
    }
    await using target = await Target.connect(flags.target);
    const verdicts = await tell(
      target.judgeAll(flags.rules, flags.jobs),
      flags.json ? () => {} : (line) => console.log(line),
    );
    console.log(flags.json ? jsonReport(flags.endpoint, verdicts) : `\n${summary(verdicts)}`);
    return totals(verdicts).failed > 0 ? 1 : 0;
  } catch (error) {
    if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`.trimStart());
    else if (error instanceof Broken || error instanceof Deno.errors.NotFound) console.error(error.message);
    else throw error;
    return 2;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
