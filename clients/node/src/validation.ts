/** What a call of ValidateToken asks besides the token. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ValidateTokenRequestSchema } from "./gen/sidecar/v1/token_service_pb.js";
import { json } from "./json.js";
import { plain } from "./plain.js";
import type { JsonValue } from "./token.js";

/** What a token must be for a service to take it. */
export interface Requirements {
  /** Name of the configured issuer that it must come from; left out, any configured one or consumer. */
  readonly issuerName?: string;
  /** At least one of these must be in `aud`; replaces the issuer's audiences. */
  readonly audiences?: readonly string[];
  /** Every one of these must be granted. */
  readonly scopes?: readonly string[];
  /**
   * Claims that must be there with these values, by dotted path: `{"realm_access.roles": "admin"}`.
   * A scalar must equal the claim or be an element of it; an array means any one of its elements.
   */
  readonly requiredClaims?: { readonly [path: string]: JsonValue };
}

/** What a call can say besides its subject matter. */
export interface CallOptions {
  /** Milliseconds until the call ends with SidecarUnavailable, retries included. Default: the client's. */
  readonly deadlineMs?: number;
}

/** What is asked of one token. */
export interface Validation extends Requirements, CallOptions {
  /** Address of the party that presented it, for address rules: IPv4 or IPv6 text. */
  readonly clientAddress?: string;
  /** Proof that the presenter holds the key that the token is bound to. */
  readonly proof?: ProofOfPossession;
}

/** Proof for a sender-constrained token. */
export interface ProofOfPossession {
  /** DPoP proof JWT (RFC 9449). */
  readonly dpop?: string;
  /** HTTP method of the request that carried the proof, such as "GET". */
  readonly httpMethod?: string;
  /** Target URI of that request, without query and fragment. */
  readonly httpUri?: string;
  /** SHA-256 of the client certificate in DER (RFC 8705): 32 bytes. */
  readonly clientCertificateSha256?: Uint8Array;
}

const NAMES: ReadonlySet<string> = new Set<keyof Validation>([
  "issuerName",
  "audiences",
  "scopes",
  "requiredClaims",
  "clientAddress",
  "proof",
  "deadlineMs",
]);

/**
 * The request for a token. Throws TypeError for an option that is unknown, undefined or null: a
 * requirement that is misspelt or not configured must not be one that is not made.
 */
export function validationRequest(
  token: string,
  asked: Validation,
): MessageInitShape<typeof ValidateTokenRequestSchema> {
  for (const [name, value] of Object.entries(plain("what is asked", asked))) {
    if (!NAMES.has(name) || value === undefined || value === null) {
      throw new TypeError(`${name} is ${NAMES.has(name) ? value : "no option"}`);
    }
  }
  const { issuerName = "", audiences = [], scopes = [], clientAddress = "" } = asked;
  const { requiredClaims } = asked;
  return {
    token,
    issuerName,
    audiences: [...audiences],
    scopes: [...scopes],
    requiredClaimsJson: requiredClaims === undefined ? "" : json("requiredClaims", requiredClaims),
    clientAddress,
    ...(asked.proof && { proof: asked.proof }),
  };
}

/** The deadline; throws RangeError where it can't be. */
export function checkedDeadline(deadlineMs: number): number {
  if (!(deadlineMs > 0 && Number.isFinite(deadlineMs))) {
    throw new RangeError(`deadlineMs must be a number above 0, not ${deadlineMs}`);
  }
  return deadlineMs;
}
