/** tests/vectors/clients.json, which every client is tested with. */

import { readFileSync } from "node:fs";
import path from "node:path";

export const REPOSITORY = path.resolve(__dirname, "../../../..");

export interface Case {
  readonly name: string;
  readonly request?: {
    readonly scopes?: string[];
    readonly dpop?: string;
    readonly http_method?: string;
    readonly http_uri?: string;
  };
  readonly answers: readonly { readonly hang?: boolean }[];
  readonly client: Token | Refused | Unavailable | Rejected;
}

interface Token {
  readonly outcome: "token";
  readonly token: Record<string, unknown>;
}

interface Refused extends Told {
  readonly outcome: "refused";
  readonly reason: string;
  readonly message: string;
  readonly www_authenticate: string;
}

interface Unavailable extends Told {
  readonly outcome: "unavailable";
}

interface Rejected extends Told {
  readonly outcome: "rejected";
  readonly code: string;
  readonly error_reason: string;
}

interface Told {
  readonly http_status: number;
  readonly grpc_status: string;
}

interface Table {
  readonly realm: string;
  readonly service_config: unknown;
  readonly cases: readonly Case[];
  readonly headers: readonly {
    readonly name: string;
    readonly authorization: readonly string[];
    readonly reason: string;
  }[];
}

export const TABLE: Table = JSON.parse(
  readFileSync(path.join(REPOSITORY, "tests/vectors/clients.json"), "utf8"),
);

/** A deadline that a busy machine keeps, too. */
export const PATIENT_MS = 10_000;

/** Those that hang take the whole deadline. */
export function deadlineOf(one: Case): number {
  return one.answers.some((answer) => answer.hang) ? 300 : PATIENT_MS;
}

/** A Token as the table has it. */
export function asInTable(token: object): Record<string, unknown> {
  const { claims, ...fields } = token as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value instanceof Date ? value.getTime() : value,
    ]),
  );
}

/** The token of a case, with times that compare. */
export function expectedToken(one: Token): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(one.token).map(([name, value]) => [
      name,
      name.endsWith("_time") ? (value === null ? undefined : Date.parse(String(value))) : value,
    ]),
  );
}
