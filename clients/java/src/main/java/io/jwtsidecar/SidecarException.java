package io.jwtsidecar;

import io.grpc.Status;

/**
 * Why there is no answer that lets a request pass.
 *
 * <p>It is unchecked, as gRPC's own exceptions are: one that nobody catches ends the request, and
 * so lets nothing through.
 */
public abstract sealed class SidecarException extends RuntimeException
    permits TokenRefusedException, SidecarUnavailableException, CallRejectedException {

  private static final long serialVersionUID = 1L;

  SidecarException(String message, Throwable cause) {
    super(message, cause);
  }

  /** The HTTP status for the one who presented the token. */
  public abstract int httpStatus();

  /** The gRPC status code for the one who presented the token. */
  public abstract Status.Code grpcStatus();
}
