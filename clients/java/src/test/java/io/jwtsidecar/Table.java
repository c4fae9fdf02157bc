package io.jwtsidecar;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** tests/vectors/clients.json: what every client must do. */
final class Table {

  static final Path TOP = Path.of("../..").toAbsolutePath().normalize();

  private static final JsonObject TABLE = read(TOP.resolve("tests/vectors/clients.json"));

  private Table() {}

  static String realm() {
    return TABLE.get("realm").getAsString();
  }

  static String serviceConfig() {
    return TABLE.get("service_config").toString();
  }

  static Stream<Case> cases() {
    return rows("cases").map(Case::new);
  }

  static Stream<Header> headers() {
    return rows("headers").map(Header::new);
  }

  private static Stream<JsonObject> rows(String name) {
    return elements(TABLE, name).map(JsonElement::getAsJsonObject);
  }

  private static Stream<JsonElement> elements(JsonObject object, String name) {
    return StreamSupport.stream(object.getAsJsonArray(name).spliterator(), false);
  }

  private static List<String> strings(JsonObject object, String name) {
    return elements(object, name).map(JsonElement::getAsString).toList();
  }

  private static JsonObject read(Path path) {
    try {
      return JsonParser.parseString(Files.readString(path)).getAsJsonObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What a sidecar answers, and what must follow. */
  record Case(JsonObject row) {

    String name() {
      return row.get("name").getAsString();
    }

    /** One that no other test asks about, so that its answers are in their order. */
    String token(String of) {
      return name() + "~" + of;
    }

    boolean hangs() {
      return row.getAsJsonArray("answers").get(0).getAsJsonObject().has("hang");
    }

    Requirements requirements() {
      Requirements requirements = Requirements.none();
      if (!row.has("request")) {
        return requirements;
      }
      JsonObject request = row.getAsJsonObject("request");
      if (request.has("scopes")) {
        requirements = requirements.withScopes(strings(request, "scopes").toArray(String[]::new));
      }
      if (request.has("dpop")) {
        requirements =
            requirements.withDpop(
                request.get("dpop").getAsString(),
                request.get("http_method").getAsString(),
                request.get("http_uri").getAsString());
      }
      return requirements;
    }

    boolean passes() {
      return expected("outcome").equals("token");
    }

    boolean isRefused() {
      return expected("outcome").equals("refused");
    }

    String expected(String what) {
      return row.getAsJsonObject("client").get(what).getAsString();
    }

    int httpStatus() {
      return Integer.parseInt(expected("http_status"));
    }

    JsonObject expectedToken() {
      return row.getAsJsonObject("client").getAsJsonObject("token");
    }

    String expectedBody() {
      if (isRefused()) {
        JsonObject body = new JsonObject();
        body.addProperty("error", expected("reason").toLowerCase(java.util.Locale.ROOT));
        body.addProperty("reason", "REASON_" + expected("reason"));
        body.addProperty("message", expected("message"));
        return body.toString();
      }
      return expected("outcome").equals("unavailable")
          ? "{\"error\":\"sidecar_unavailable\",\"message\":\"the token can't be checked now\"}"
          : "{\"error\":\"internal_error\",\"message\":\"the token can't be checked\"}";
    }

    @Override
    public String toString() {
      return name();
    }
  }

  /** Authorization headers, and the reason of the refusal. */
  record Header(JsonObject row) {

    List<String> authorization() {
      return strings(row, "authorization");
    }

    String reason() {
      return row.get("reason").getAsString();
    }

    @Override
    public String toString() {
      return row.get("name").getAsString();
    }
  }
}
