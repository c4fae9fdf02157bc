package io.jwtsidecar;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A sidecar's process, scripted or real. */
final class Sidecar implements AutoCloseable {

  private static final String PYTHON = System.getenv("SIDECAR_PYTHON");
  private static Sidecar shared;

  private final Process process;
  private final String address;

  private Sidecar(Process process, String address) {
    this.process = process;
    this.address = address;
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
    return new Sidecar(process, firstLine(process));
  }

  /** A real one with tests/clients/sidecar.yaml. */
  static Sidecar real(Path directory) {
    try {
      Path config = directory.resolve("sidecar.yaml");
      Files.copy(Table.TOP.resolve("tests/clients/sidecar.yaml"), config);
      Process process = start(directory, "-m", "sidecar", "serve", "--config", config.toString());
      firstLine(process);
      return new Sidecar(process, "unix:" + directory.resolve("sidecar.sock"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  String address() {
    return address;
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
