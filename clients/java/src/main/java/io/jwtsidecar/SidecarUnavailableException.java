package io.jwtsidecar;

import io.grpc.Status;

/**
 * Nothing is known of the token: the sidecar is down, too slow or overloaded, or its answer makes
 * no sense. Try again later.
 */
public final class SidecarUnavailableException extends SidecarException {

  private static final long serialVersionUID = 1L;

  SidecarUnavailableException(String message, Throwable cause) {
    super(message, cause);
  }

  /** 503. */
  @Override
  public int httpStatus() {
    return 503;
  }

  /** UNAVAILABLE. */
  @Override
  public Status.Code grpcStatus() {
    return Status.Code.UNAVAILABLE;
  }
}
