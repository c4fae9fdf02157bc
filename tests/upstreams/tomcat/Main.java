import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;

/** Serves the handlers of this test with servlets in Tomcat: Main PORT. */
public final class Main {
  private static final Logger LOG = Logger.getLogger("org.apache");

  public static void main(String[] arguments) throws Exception {
    LOG.setLevel(Level.OFF);
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
    Connector connector = new Connector();
    connector.setProperty("address", "127.0.0.1");
    connector.setPort(Integer.parseInt(arguments[0]));
    tomcat.setConnector(connector);
    Context context = tomcat.addContext("", null);
    for (String name : new String[] {"internal", "admin", "public", "reports"}) {
      Tomcat.addServlet(context, name, handler(name));
      context.addServletMappingDecoded("/" + name + "/*", name);
    }
    Tomcat.addServlet(context, "hidden", handler("hidden"));
    context.addServletMappingDecoded("/public/hidden/*", "hidden");
    Tomcat.addServlet(context, "keys", handler("keys"));
    context.addServletMappingDecoded("/keys", "keys");
    Tomcat.addServlet(context, "other", handler("other"));
    context.addServletMappingDecoded("/*", "other");
    tomcat.start();
    System.out.println("ready");
    tomcat.getServer().await();
  }

  private static HttpServlet handler(String name) {
    return new HttpServlet() {
      @Override
      protected void doGet(HttpServletRequest request, HttpServletResponse response) {
        String rest = request.getPathInfo() == null ? "" : request.getPathInfo();
        String path = request.getServletPath() + rest;
        response.setHeader("X-Handler", name);
        response.setHeader("X-Path", URLEncoder.encode(path, StandardCharsets.UTF_8));
      }
    };
  }
}
