export type { Tls } from "./channel.js";
export { Client, type ClientOptions } from "./client.js";
export { CallRejected, SidecarUnavailable, TokenRefused } from "./errors.js";
export type { Check, Explanation } from "./explanation.js";
export type { IssuedToken, Revocation, TokenToIssue } from "./issuing.js";
export type { JsonValue, Token, Verdict } from "./token.js";
export type { CallOptions, ProofOfPossession, Requirements, Validation } from "./validation.js";
