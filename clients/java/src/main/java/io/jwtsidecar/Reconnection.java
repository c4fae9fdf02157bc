package io.jwtsidecar;

import io.grpc.ManagedChannel;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Has a channel connect again soon after a failure. gRPC by itself waits up to two minutes, all of
 * which a service would refuse everybody though its sidecar is back.
 */
final class Reconnection {

  private static final long INTERVAL_NANOS = Duration.ofSeconds(1).toNanos();

  private final ManagedChannel channel;
  private final AtomicLong latest = new AtomicLong(System.nanoTime() - INTERVAL_NANOS);

  Reconnection(ManagedChannel channel) {
    this.channel = channel;
  }

  /** Ends the wait, at most once a second. */
  void after(Status failure) {
    long before = latest.get();
    long now = System.nanoTime();
    if (failure.getCode() == Status.Code.UNAVAILABLE
        && now - before >= INTERVAL_NANOS
        && latest.compareAndSet(before, now)) {
      channel.resetConnectBackoff();
    }
  }
}
