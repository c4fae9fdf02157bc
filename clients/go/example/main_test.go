package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	jwtsidecar "github.com/jwt-sidecar/jwt-sidecar/clients/go"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/internal/sidecartest"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

func TestExample(t *testing.T) {
	directory, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(directory) }()
	sidecar, err := sidecartest.Real(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer sidecar.Kill()
	service := start(t, directory, sidecar.Address)
	client, err := jwtsidecar.New(sidecar.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	issued, err := client.Issue(t.Context(), &sidecarv1.IssueTokenRequest{Subject: "alice", Scopes: []string{"orders:read"}})
	if err != nil {
		t.Fatal(err)
	}

	for _, one := range []struct {
		name, method, authorization string
		status                      int
		challenge, body             string
	}{
		{
			"without a token", http.MethodGet, "",
			http.StatusUnauthorized, `Bearer realm="orders"`, `"reason":"REASON_TOKEN_MISSING"`,
		},
		{
			"with one", http.MethodGet, "Bearer " + issued.Token,
			http.StatusOK, "", "the orders of alice\n",
		},
		{
			"with another signature", http.MethodGet, "Bearer " + issued.Token[:len(issued.Token)-8] + "AAAAAAAA",
			http.StatusUnauthorized, `Bearer realm="orders", error="invalid_token"`, `"error":"signature_invalid"`,
		},
		{
			"without the scope", http.MethodPost, "Bearer " + issued.Token,
			http.StatusForbidden, `Bearer realm="orders", error="insufficient_scope", scope="orders:write"`, `"error":"scope_insufficient"`,
		},
	} {
		t.Run(one.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), one.method, service+"/orders", nil)
			if err != nil {
				t.Fatal(err)
			}
			if one.authorization != "" {
				request.Header.Set("Authorization", one.authorization)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			challenge := response.Header.Get("WWW-Authenticate")
			if response.StatusCode != one.status || !strings.HasPrefix(challenge, one.challenge) || !strings.Contains(string(body), one.body) {
				t.Errorf("%d, %s, %s", response.StatusCode, challenge, body)
			}
		})
	}
}

// start builds the service and runs it, as its users do, and returns where it listens.
func start(t *testing.T, directory, sidecar string) string {
	t.Helper()
	program := filepath.Join(directory, "example")
	if said, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	command := exec.Command(program, "-listen", "127.0.0.1:0")
	command.Env = append(os.Environ(), "JWT_SIDECAR_ADDRESS="+sidecar)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}
