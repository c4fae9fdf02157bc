package io.jwtsidecar;

import com.google.gson.JsonObject;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.Locale;

/** What the one who presented a token is told. Of a failure, nothing of the inside. */
final class Denial {

  static final String RETRY_AFTER_SECONDS = "1";

  private Denial() {}

  /** The message of a gRPC status. */
  static String message(SidecarException why) {
    return why instanceof TokenRefusedException ? why.getMessage() : outside(why);
  }

  /** The body of an HTTP response: a JSON object. */
  static String body(SidecarException why) {
    JsonObject body = new JsonObject();
    if (why instanceof TokenRefusedException refused) {
      body.addProperty("error", refused.reason().toLowerCase(Locale.ROOT));
      body.addProperty("reason", "REASON_" + refused.reason());
      body.addProperty("message", refused.explanation());
    } else {
      body.addProperty(
          "error",
          why instanceof SidecarUnavailableException ? "sidecar_unavailable" : "internal_error");
      body.addProperty("message", outside(why));
    }
    return body.toString();
  }

  /** What the caller is not told, in one line; a refusal is no matter for the log. */
  static void log(Logger log, SidecarException why) {
    if (!(why instanceof TokenRefusedException)) {
      String cause = why.getCause() == null ? "" : " (" + why.getCause() + ")";
      log.log(Level.ERROR, "a token can't be checked: " + why.getMessage() + cause);
    }
  }

  private static String outside(SidecarException why) {
    return why instanceof SidecarUnavailableException
        ? "the token can't be checked now"
        : "the token can't be checked";
  }
}
