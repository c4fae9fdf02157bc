/** JSON that says all that was meant. */

import { plain } from "./plain.js";
import type { JsonValue } from "./token.js";

/**
 * The object as JSON. Throws TypeError where JSON.stringify would leave something out or change
 * it: a claim that is required to be undefined must not be one that is not required.
 */
export function json(field: string, object: { readonly [name: string]: JsonValue }): string {
  return JSON.stringify(plain(field, object), (name, value: unknown) => {
    const kept = ["string", "boolean", "object"].includes(typeof value) || Number.isFinite(value);
    if (!kept) {
      throw new TypeError(`${field}: ${name} is no JSON value`);
    }
    return value;
  });
}
