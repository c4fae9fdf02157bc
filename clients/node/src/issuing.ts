/** Issuing, refreshing and revoking: what is asked, and what comes. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { SidecarUnavailable } from "./errors.js";
import type {
  IssueTokenRequestSchema,
  IssueTokenResponse,
  RevokeTokenRequestSchema,
} from "./gen/sidecar/v1/token_service_pb.js";
import { json } from "./json.js";
import { type JsonValue, timeOf } from "./token.js";

/** The token that is wanted. What is left out is the signer's, or absent. */
export interface TokenToIssue {
  /** Name of a configured signer; without `consumer` too, the only signer. */
  readonly signer?: string;
  /** Name of a consumer to sign for, with that consumer's own key. */
  readonly consumer?: string;
  readonly subject?: string;
  /** `aud`. */
  readonly audiences?: readonly string[];
  /** Each must be one that the signer may grant. */
  readonly scopes?: readonly string[];
  /** Seconds from now to `exp`, to the millisecond; at most the signer's maximum. */
  readonly lifetimeSeconds?: number;
  /** When it starts to be valid: a time, or seconds from now. */
  readonly notBefore?: Date | number;
  /** `jti`; left out, a random UUID. */
  readonly tokenId?: string;
  /** Additional claims; registered names are rejected. */
  readonly claims?: { readonly [name: string]: JsonValue };
  /** Additional header parameters. */
  readonly headers?: { readonly [name: string]: JsonValue };
  /** Names for `crit`, each one of `headers` (RFC 7515, section 4.1.11). */
  readonly criticalHeaders?: readonly string[];
  /** One of the signer's algorithms; left out, its first. */
  readonly algorithm?: string;
  /** A refresh token as well; the signer must allow it. */
  readonly withRefreshToken?: boolean;
}

/** A new token. Its two secrets are not shown by console.log, but are by JSON.stringify. */
export interface IssuedToken {
  /** The signed token in compact form. */
  readonly token: string;
  readonly tokenId: string;
  readonly keyId: string;
  readonly algorithm: string;
  readonly issueTime: Date | undefined;
  readonly expireTime: Date | undefined;
  /** Opaque, and works once; empty where none was asked for. */
  readonly refreshToken: string;
  readonly refreshExpireTime: Date | undefined;
}

/** What is revoked: exactly one of these. */
export type Revocation =
  /** A whole access token. It must verify, though it may have expired. */
  | { readonly token: string }
  /** A refresh token, and its whole family. */
  | { readonly refreshToken: string }
  /** One token by its `iss` and `jti`; `expireTime` is its `exp`, when the entry may be forgotten. */
  | {
      readonly tokenReference: {
        readonly issuer: string;
        readonly tokenId: string;
        readonly expireTime: Date;
      };
    }
  /** All tokens of a subject that were issued before a time; left out, before now. */
  | {
      readonly subject: {
        readonly issuer: string;
        readonly subject: string;
        readonly issuedBefore?: Date;
      };
    }
  /** A consumer's name: all its tokens issued so far. */
  | { readonly consumer: string };

export function issueRequest(
  wanted: TokenToIssue,
): MessageInitShape<typeof IssueTokenRequestSchema> {
  const { claims, headers, lifetimeSeconds, notBefore } = wanted;
  return {
    signer: wanted.signer ?? "",
    consumer: wanted.consumer ?? "",
    subject: wanted.subject ?? "",
    audiences: [...(wanted.audiences ?? [])],
    scopes: [...(wanted.scopes ?? [])],
    ...(lifetimeSeconds !== undefined && { lifetime: duration(lifetimeSeconds) }),
    ...(notBefore !== undefined && { notBefore: beginning(notBefore) }),
    tokenId: wanted.tokenId ?? "",
    claimsJson: claims ? json("claims", claims) : "",
    headersJson: headers ? json("headers", headers) : "",
    criticalHeaders: [...(wanted.criticalHeaders ?? [])],
    algorithm: wanted.algorithm ?? "",
    withRefreshToken: wanted.withRefreshToken ?? false,
  };
}

function beginning(time: Date | number) {
  return typeof time === "number"
    ? ({ case: "notBeforeDelay", value: duration(time) } as const)
    : ({ case: "notBeforeTime", value: timestampFromDate(time) } as const);
}

function duration(seconds: number): Duration {
  return durationFromMs(Math.round(seconds * 1_000));
}

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** The token of an answer; throws SidecarUnavailable where there is none. */
export function issuedToken(answer: IssueTokenResponse): IssuedToken {
  if (!answer.token) {
    throw new SidecarUnavailable("the answer holds no token");
  }
  const { token, refreshToken, tokenId, keyId, algorithm } = answer;
  const told = {
    tokenId,
    keyId,
    algorithm,
    issueTime: timeOf(answer.issueTime),
    expireTime: timeOf(answer.expireTime),
    refreshExpireTime: timeOf(answer.refreshExpireTime),
  };
  const issued = { token, refreshToken, ...told };
  Object.defineProperty(issued, INSPECT, { value: () => told });
  return Object.freeze(issued);
}

export function revokeRequest(
  what: Revocation,
  note: string,
): MessageInitShape<typeof RevokeTokenRequestSchema> {
  return { target: target(what), note };
}

function target(what: Revocation) {
  if ("token" in what) {
    return { case: "token", value: what.token } as const;
  }
  if ("refreshToken" in what) {
    return { case: "refreshToken", value: what.refreshToken } as const;
  }
  if ("tokenReference" in what) {
    const { issuer, tokenId, expireTime } = what.tokenReference;
    const value = { issuer, tokenId, expireTime: timestampFromDate(expireTime) };
    return { case: "tokenReference", value } as const;
  }
  if ("subject" in what) {
    const { issuer, subject, issuedBefore } = what.subject;
    const before = issuedBefore && { issuedBefore: timestampFromDate(issuedBefore) };
    return { case: "subject", value: { issuer, subject, ...before } } as const;
  }
  return { case: "consumer", value: what.consumer } as const;
}
