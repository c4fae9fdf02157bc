package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where a client connects to. */
class AddressTest {

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "unix:",
        "sidecar",
        "sidecar:",
        ":9191",
        "sidecar:grpc",
        "sidecar:9191/x",
        "http://sidecar:9191",
        "dns:///sidecar:9191",
        "::1:9191",
        "a b:9191"
      })
  void refusesWhatIsNone(String address) {
    assertThrows(IllegalArgumentException.class, () -> Client.create(address));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"localhost:9191", "127.0.0.1:9191", "[::1]:9191", "dns:53", "unix:a.sock"})
  void takesBothForms(String address) {
    Client.create(address).close();
  }

  @Test
  void takesAPathWithAnyCharacter(@TempDir Path directory) throws IOException {
    Path link = directory.resolve("a b%20c#d?.sock");
    Files.createSymbolicLink(link, directory.resolve("sidecar.sock"));
    try (Sidecar sidecar = Sidecar.scripted("unix:" + directory.resolve("sidecar.sock"));
        Client client =
            Client.builder().address("unix:" + link).deadline(Duration.ofSeconds(10)).build()) {
      assertEquals("alice", client.validate("valid").subject(), sidecar.address());
    }
  }

  @Test
  void isTheEnvironmentsOrTheUsualOne() {
    assertEquals("unix:/run/jwt-sidecar/sidecar.sock", Address.in(Map.of()));
    assertEquals(
        "unix:/run/jwt-sidecar/sidecar.sock", Address.in(Map.of("JWT_SIDECAR_ADDRESS", "")));
    assertEquals("sidecar:9191", Address.in(Map.of("JWT_SIDECAR_ADDRESS", "sidecar:9191")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"PT0S", "PT-1S"})
  void goesWithAPositiveDeadline(String deadline) {
    assertThrows(
        IllegalArgumentException.class, () -> Client.builder().deadline(Duration.parse(deadline)));
  }
}
