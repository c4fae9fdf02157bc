/** What HTTP middleware and gRPC interceptor share. */

import { bearerToken } from "./bearer.js";
import type { Client } from "./client.js";
import type { Token } from "./token.js";
import {
  type CallOptions,
  checkedDeadline,
  type Requirements,
  validationRequest,
} from "./validation.js";

/** What is demanded of every request. */
export interface Admission extends Requirements, CallOptions {
  /** Gets what kept a token from being checked, not refusals. Default: a line on standard error. */
  readonly log?: (failure: unknown) => void;
}

const admitted = new WeakMap<object, Token>();

/** Resolves where the request may pass. */
type Gate = (request: object, authorization: readonly string[]) => Promise<void>;

/**
 * Checks the token in the values of Authorization, for a request that is known by an object;
 * rejects as Client.validate does. Throws TypeError or RangeError at once where an option can't be.
 */
export function gate(client: Client, asked: Requirements & CallOptions): Gate {
  validationRequest("", asked);
  if (asked.deadlineMs !== undefined) {
    checkedDeadline(asked.deadlineMs);
  }
  return async (request, authorization) => {
    admitted.set(request, await client.validate(bearerToken(authorization), asked));
  };
}

/**
 * The token of a request that the middleware let through, or of a gRPC call that the interceptor
 * did. Throws where neither has: there is no request without a token by mistake.
 */
export function tokenOf(request: object): Token {
  const token = admitted.get(request) ?? admitted.get(Reflect.get(request, "metadata") ?? request);
  if (!token) {
    throw new Error(
      "no token of this request was checked: is the middleware or interceptor there?",
    );
  }
  return token;
}
