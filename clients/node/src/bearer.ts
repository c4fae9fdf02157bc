/** The token of a request, from its Authorization headers (RFC 6750, section 2.1). */

import { TokenRefused } from "./errors.js";

const SCHEME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]*/;
const TOKEN = /^ +([A-Za-z0-9._~+/-]+=*)$/;

/**
 * The token in the values of all Authorization headers. Throws TokenRefused: TOKEN_MISSING where
 * none was sent, TOKEN_MALFORMED where what was sent could be read in more than one way.
 */
export function bearerToken(values: readonly string[]): string {
  const [value, ...others] = values;
  if (value === undefined) {
    throw new TokenRefused("TOKEN_MISSING", "the request has no Authorization header");
  }
  if (others.length > 0) {
    throw new TokenRefused("TOKEN_MALFORMED", "there are several Authorization headers; send one");
  }
  const scheme = SCHEME.exec(value)?.[0] ?? "";
  if (scheme.toLowerCase() !== "bearer") {
    throw new TokenRefused("TOKEN_MISSING", "the Authorization header is not of the scheme Bearer");
  }
  const rest = value.slice(scheme.length);
  if (/^ *$/.test(rest)) {
    throw new TokenRefused("TOKEN_MISSING", "the Authorization header has nothing after Bearer");
  }
  const token = TOKEN.exec(rest)?.[1];
  if (token === undefined) {
    throw new TokenRefused("TOKEN_MALFORMED", "what follows Bearer is not spaces and one token");
  }
  return token;
}
