package io.jwtsidecar;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A sidecar's process, scripted or real. */
final class Sidecar implements AutoCloseable {

  private static final String PYTHON = System.getenv("SIDECAR_PYTHON");
  private static final Pattern READY = Pattern.compile("127\\.0\\.0\\.1:(\\d+)");
  private static final String TLS_LISTENER =
      """
        - address: 127.0.0.1:0
          services: [validate]
          tls: {certificate_file: tls.crt, private_key_file: tls.key}
          caller_token: {issuer: internal, scopes: [orders:read]}
      """;
  private static final String CERTIFY =
      """
      import sys
      from pathlib import Path
      from tests.identities import HERE, Ca
      ca, directory = Ca(), Path(sys.argv[1])
      ca.certify(*HERE).write(directory / "tls.crt", directory / "tls.key")
      (directory / "ca.pem").write_bytes(ca.certificate)
      print("done")
      """;
  private static Sidecar shared;

  private final Process process;
  private final String address;
  private final String secondAddress;

  private Sidecar(Process process, String address, String secondAddress) {
    this.process = process;
    this.address = address;
    this.secondAddress = secondAddress;
  }

  /** The one that answers by the table, for all tests; it ends when its standard input does. */
  static synchronized Sidecar scripted() {
    if (shared == null) {
      shared = scripted("127.0.0.1:0");
    }
    return shared;
  }

  /** Another one, which the caller closes. */
  static Sidecar scripted(String address) {
    Process process = start(Table.TOP, "tests/clients/scripted.py", address);
    return new Sidecar(process, firstLine(process), "");
  }

  /** A real one with tests/clients/sidecar.yaml. */
  static Sidecar real(Path directory) {
    return real(directory, "");
  }

  /**
   * The same, and one that asks its callers for TLS with {@code ca.pem} and for a token.
   *
   * @see #secondAddress
   */
  static Sidecar realWithTls(Path directory) {
    Process certifying = start(Table.TOP, "-c", CERTIFY, directory.toString());
    if (!"done".equals(firstLine(certifying))) {
      throw new IllegalStateException("there are no certificates");
    }
    return real(directory, TLS_LISTENER);
  }

  private static Sidecar real(Path directory, String listener) {
    try {
      Path config = directory.resolve("sidecar.yaml");
      String text = Files.readString(Table.TOP.resolve("tests/clients/sidecar.yaml"));
      Files.writeString(config, text.replace("listeners:\n", "listeners:\n" + listener));
      Process process = start(directory, "-m", "sidecar", "serve", "--config", config.toString());
      Matcher ready = READY.matcher(firstLine(process));
      return new Sidecar(
          process,
          "unix:" + directory.resolve("sidecar.sock"),
          ready.find() ? "localhost:" + ready.group(1) : "");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  String address() {
    return address;
  }

  /** Where it asks for TLS and a token. */
  String secondAddress() {
    return secondAddress;
  }

  /** Ends it at once, as a crash would. */
  @Override
  public void close() {
    process.destroyForcibly();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        throw new IllegalStateException("the sidecar does not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static Process start(Path directory, String... arguments) {
    if (PYTHON == null) {
      throw new IllegalStateException("set SIDECAR_PYTHON, as make test does");
    }
    List<String> command = Stream.concat(Stream.of(PYTHON), Stream.of(arguments)).toList();
    try {
      Process process =
          new ProcessBuilder(command)
              .directory(directory.toFile())
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
      return process;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String firstLine(Process process) {
    try {
      BufferedReader output = process.inputReader();
      String line = output.readLine();
      if (line == null) {
        throw new IllegalStateException("the sidecar did not start");
      }
      return line;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
