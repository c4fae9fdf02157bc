package io.jwtsidecar;

import com.google.protobuf.Timestamp;
import java.time.Instant;
import java.util.Optional;

/** The contract's times in Java's. */
final class Times {

  private Times() {}

  /**
   * @throws java.time.DateTimeException where it is none that an {@link Instant} can be
   */
  static Instant of(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  static Optional<Instant> of(boolean present, Timestamp time) {
    return present ? Optional.of(of(time)) : Optional.empty();
  }
}
