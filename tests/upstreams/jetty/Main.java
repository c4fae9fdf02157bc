import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/** Serves the handlers of this test with servlets in Jetty: Main PORT. */
public final class Main {
  public static void main(String[] arguments) throws Exception {
    Server server = new Server();
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(arguments[0]));
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler();
    context.setContextPath("/");
    for (String name : new String[] {"internal", "admin", "public", "reports"}) {
      context.addServlet(handler(name), "/" + name + "/*");
    }
    context.addServlet(handler("hidden"), "/public/hidden/*");
    context.addServlet(handler("keys"), "/keys");
    context.addServlet(handler("other"), "/*");
    server.setHandler(context);
    server.start();
    System.out.println("ready");
  }

  private static ServletHolder handler(String name) {
    return new ServletHolder(
        name,
        new HttpServlet() {
          @Override
          protected void doGet(HttpServletRequest request, HttpServletResponse response) {
            String rest = request.getPathInfo() == null ? "" : request.getPathInfo();
            String path = request.getServletPath() + rest;
            response.setHeader("X-Handler", name);
            response.setHeader("X-Path", URLEncoder.encode(path, StandardCharsets.UTF_8));
          }
        });
  }
}
