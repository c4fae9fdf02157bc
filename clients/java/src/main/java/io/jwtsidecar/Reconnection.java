package io.jwtsidecar;

import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Has a channel that lost its sidecar connect again when it is needed. gRPC by itself waits up to
 * two minutes, all of which a service would refuse everybody though its sidecar is back.
 */
final class Reconnection {

  private static final long INTERVAL_NANOS = Duration.ofSeconds(1).toNanos();

  private final ManagedChannel channel;
  private final AtomicLong latest = new AtomicLong(System.nanoTime() - INTERVAL_NANOS);

  Reconnection(ManagedChannel channel) {
    this.channel = channel;
  }

  /** Ends the wait, at most once a second, so that the call's next attempt finds a connection. */
  void beforeCall() {
    long before = latest.get();
    long now = System.nanoTime();
    if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE
        && now - before >= INTERVAL_NANOS
        && latest.compareAndSet(before, now)) {
      channel.resetConnectBackoff();
    }
  }
}
