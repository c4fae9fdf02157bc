/** What the sender of a request that may not pass is told: nothing of the inside. */

import { status } from "@grpc/grpc-js";
import { SidecarUnavailable, TokenRefused } from "./errors.js";

/** The answer in HTTP and in gRPC. */
export interface Denial {
  readonly httpStatus: number;
  readonly body: { readonly error: string; readonly reason?: string; readonly message: string };
  readonly grpcStatus: status;
  readonly grpcMessage: string;
}

const UNAVAILABLE: Denial = {
  httpStatus: 503,
  body: { error: "sidecar_unavailable", message: "the token can't be checked now" },
  grpcStatus: status.UNAVAILABLE,
  grpcMessage: "the token can't be checked now",
};

const INTERNAL: Denial = {
  httpStatus: 500,
  body: { error: "internal_error", message: "the token can't be checked" },
  grpcStatus: status.INTERNAL,
  grpcMessage: "the token can't be checked",
};

/** The denial for whatever kept a request from passing. */
export function denialOf(failure: unknown): Denial {
  if (failure instanceof TokenRefused) {
    const { reason, message, httpStatus, grpcStatus } = failure;
    return {
      httpStatus,
      body: { error: reason.toLowerCase(), reason: `REASON_${reason}`, message },
      grpcStatus,
      grpcMessage: `${reason}: ${message}`,
    };
  }
  return failure instanceof SidecarUnavailable ? UNAVAILABLE : INTERNAL;
}

/** The default of `log`. */
export function logFailure(failure: unknown): void {
  console.error(`a token can't be checked: ${failure}`);
}
