package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** How soon a channel connects again. */
class ReconnectionTest {

  private final Resets channel = new Resets();
  private final Reconnection reconnection = new Reconnection(channel);

  @Test
  void endsTheWaitOnceForManyCalls() {
    channel.state = ConnectivityState.TRANSIENT_FAILURE;
    for (int call = 0; call < 100; call++) {
      reconnection.beforeCall();
    }
    assertEquals(1, channel.count);
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "TRANSIENT_FAILURE")
  void leavesOtherChannelsAlone(ConnectivityState state) {
    channel.state = state;
    reconnection.beforeCall();
    assertEquals(0, channel.count);
  }

  /** Counts what it is asked for. */
  private static final class Resets extends ManagedChannel {

    private ConnectivityState state;
    private int count;

    @Override
    public ConnectivityState getState(boolean requestConnection) {
      return state;
    }

    @Override
    public void resetConnectBackoff() {
      count++;
    }

    @Override
    public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
      throw new UnsupportedOperationException();
    }

    @Override
    public String authority() {
      throw new UnsupportedOperationException();
    }

    @Override
    public ManagedChannel shutdown() {
      throw new UnsupportedOperationException();
    }

    @Override
    public ManagedChannel shutdownNow() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean isShutdown() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean isTerminated() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean awaitTermination(long timeout, TimeUnit unit) {
      throw new UnsupportedOperationException();
    }
  }
}
