package io.jwtsidecar;

import io.grpc.ServerCall;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Keeps the events of a call until its handler is there, and gives it all of them in order. */
final class DeferredListener<Q> extends ServerCall.Listener<Q> {

  private List<Consumer<ServerCall.Listener<Q>>> events = new ArrayList<>();
  private volatile ServerCall.Listener<Q> handler;

  /** From here on events go to the handler, after those that came before. */
  void deliverTo(ServerCall.Listener<Q> handler) {
    for (var kept = take(handler); !kept.isEmpty(); kept = take(handler)) {
      kept.forEach(event -> event.accept(handler));
    }
  }

  @Override
  public void onMessage(Q message) {
    deliver(handler -> handler.onMessage(message));
  }

  @Override
  public void onHalfClose() {
    deliver(ServerCall.Listener::onHalfClose);
  }

  @Override
  public void onCancel() {
    deliver(ServerCall.Listener::onCancel);
  }

  @Override
  public void onComplete() {
    deliver(ServerCall.Listener::onComplete);
  }

  @Override
  public void onReady() {
    deliver(ServerCall.Listener::onReady);
  }

  private void deliver(Consumer<ServerCall.Listener<Q>> event) {
    if (handler == null && keep(event)) {
      return;
    }
    event.accept(handler);
  }

  private synchronized boolean keep(Consumer<ServerCall.Listener<Q>> event) {
    return handler == null && events.add(event);
  }

  /**
   * What was kept; the handler is in place once that is nothing, so that none overtakes another.
   */
  private synchronized List<Consumer<ServerCall.Listener<Q>>> take(ServerCall.Listener<Q> next) {
    var kept = events;
    events = new ArrayList<>();
    if (kept.isEmpty()) {
      handler = next;
    }
    return kept;
  }
}
