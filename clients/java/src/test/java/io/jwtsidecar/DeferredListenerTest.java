package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.grpc.ServerCall;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** In which order a handler gets the events of its call. */
class DeferredListenerTest {

  private final DeferredListener<Integer> listener = new DeferredListener<>();

  @Test
  void givesWhatCameBeforeTheHandlerFirst() {
    Handler handler = new Handler();
    listener.onReady();
    listener.onMessage(1);
    listener.deliverTo(handler);
    listener.onMessage(2);
    listener.onHalfClose();
    listener.onComplete();
    listener.onCancel();
    assertEquals(List.of("ready", "1", "2", "half-close", "complete", "cancel"), handler.events);
  }

  @Test
  void letsNoEventOvertakeThoseThatAreBeingDelivered() {
    Handler handler =
        new Handler() {
          @Override
          public void onMessage(Integer message) {
            super.onMessage(message);
            if (message == 1) {
              listener.onMessage(3);
            }
          }
        };
    listener.onMessage(1);
    listener.onMessage(2);
    listener.deliverTo(handler);
    listener.onMessage(4);
    assertEquals(List.of("1", "2", "3", "4"), handler.events);
  }

  /** Writes down what it gets. */
  private static class Handler extends ServerCall.Listener<Integer> {

    final List<String> events = new ArrayList<>();

    @Override
    public void onMessage(Integer message) {
      events.add(message.toString());
    }

    @Override
    public void onHalfClose() {
      events.add("half-close");
    }

    @Override
    public void onCancel() {
      events.add("cancel");
    }

    @Override
    public void onComplete() {
      events.add("complete");
    }

    @Override
    public void onReady() {
      events.add("ready");
    }
  }
}
