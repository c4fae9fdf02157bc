package jwtsidecar

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/jwt-sidecar/jwt-sidecar/clients/go/internal/sidecartest"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

func TestServiceConfigIsThatOfTheTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(sidecartest.Top(), "tests/vectors/clients.json"))
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Config any `json:"service_config"`
	}
	var own any
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(serviceConfig), &own); err != nil {
		t.Fatal(err)
	}
	if table.Config == nil || !reflect.DeepEqual(own, table.Config) {
		t.Errorf("%v is not %v", own, table.Config)
	}
}

func TestParseAddress(t *testing.T) {
	for text, wanted := range map[string]place{
		"unix:/run/s.sock":         {"unix", "/run/s.sock"},
		"unix:///run/s.sock":       {"unix", "/run/s.sock"},
		"unix:s.sock":              {"unix", "s.sock"},
		"unix:/run/a b%zz?c#d":     {"unix", "/run/a b%zz?c#d"},
		"127.0.0.1:9191":           {"tcp", "127.0.0.1:9191"},
		"sidecar.example:9191":     {"tcp", "sidecar.example:9191"},
		"[::1]:9191":               {"tcp", "[::1]:9191"},
		"[fe80::1%eth0]:9191":      {"tcp", "[fe80::1%eth0]:9191"},
		"":                         {},
		"unix:":                    {},
		"sidecar.example":          {},
		"sidecar.example:":         {},
		":9191":                    {},
		"::1:9191":                 {},
		"dns:///sidecar.test:9191": {},
		"http://127.0.0.1:9191":    {},
	} {
		found, err := parseAddress(text)
		if found != wanted || (err == nil) != (wanted != place{}) {
			t.Errorf("%q is %v, %v", text, found, err)
		}
	}
}

// Rows that no HTTP server and no gRPC server lets through to a handler are here too.
func TestBearer(t *testing.T) {
	for value, wanted := range map[string]Reason{
		"Bearer aZ0-._~+/==":   "",
		"bEARER     a":         "",
		"Bearer a ":            tokenMalformed,
		"Bearer a\n":           tokenMalformed,
		"Bearer =":             tokenMalformed,
		"Bearer a=b":           tokenMalformed,
		"Bearer a,b":           tokenMalformed,
		"Bearer ä":             tokenMalformed,
		"Bearer \xff":          tokenMalformed,
		"Bearer a\x00":         tokenMalformed,
		"Bearer\ta":            tokenMalformed,
		"Bearer \ta":           tokenMalformed,
		"Bearer\u00a0a":        tokenMalformed,
		"Bearer,a":             tokenMalformed,
		"Bearer/a":             tokenMalformed,
		"Bearer=a":             tokenMalformed,
		"Bearer":               tokenMissing,
		"Bearer ":              tokenMissing,
		"Bearer-x a":           tokenMissing,
		" Bearer a":            tokenMissing,
		"":                     tokenMissing,
		"DPoP a":               tokenMissing,
		"a":                    tokenMissing,
		strings.Repeat("=", 3): tokenMissing,
	} {
		token, err := bearer([]string{value})
		if wanted == "" {
			if err != nil || token != strings.TrimLeft(value[len("Bearer"):], " ") {
				t.Errorf("%q: %q, %v", value, token, err)
			}
			continue
		}
		if refused, ok := err.(*RefusedError); !ok || refused.Reason != wanted || token != "" {
			t.Errorf("%q: %q, %v", value, token, err)
		}
	}
}

func TestAllThatIsRequiredIsAsked(t *testing.T) {
	fingerprint := []byte("32 bytes of SHA-256, or as many.")
	asked, err := Requirements{
		IssuerName:     "corp",
		Audiences:      []string{"orders"},
		Scopes:         []string{"orders:read"},
		RequiredClaims: map[string]any{"tenant": "acme"},
		ClientAddress:  "192.0.2.1",
		Proof:          Proof{"a.b.c", "GET", "https://shop.example/", fingerprint},
	}.request("token")
	wanted := &sidecarv1.ValidateTokenRequest{
		Token:              "token",
		IssuerName:         "corp",
		Audiences:          []string{"orders"},
		Scopes:             []string{"orders:read"},
		RequiredClaimsJson: `{"tenant":"acme"}`,
		ClientAddress:      "192.0.2.1",
		Proof: &sidecarv1.ProofOfPossession{
			Dpop: "a.b.c", HttpMethod: "GET", HttpUri: "https://shop.example/", ClientCertificateSha256: fingerprint,
		},
	}
	if err != nil || !proto.Equal(asked, wanted) {
		t.Errorf("%v, %v", asked, err)
	}
	asked, err = Requirements{Proof: Proof{ClientCertificateSHA256: fingerprint}}.request("")
	wanted = &sidecarv1.ValidateTokenRequest{Proof: &sidecarv1.ProofOfPossession{ClientCertificateSha256: fingerprint}}
	if err != nil || !proto.Equal(asked, wanted) {
		t.Errorf("%v, %v", asked, err)
	}
}

func TestErrorReasonIsOfTheSidecar(t *testing.T) {
	for domain, wanted := range map[string]string{"jwt-sidecar": "FIELD_INVALID", "mesh.example": ""} {
		answer, err := status.New(codes.InvalidArgument, "why").
			WithDetails(&errdetails.ErrorInfo{Reason: "FIELD_INVALID", Domain: domain})
		if err != nil {
			t.Fatal(err)
		}
		if found := errorReason(answer); found != wanted {
			t.Errorf("%s: %q", domain, found)
		}
	}
}

func TestEveryReasonHasAStatus(t *testing.T) {
	for number, name := range sidecarv1.Reason_name {
		refused := &RefusedError{Reason: reasonFrom(sidecarv1.Reason(number))}
		if "REASON_"+string(refused.Reason) != name || refused.Reason.number() != int(number) {
			t.Errorf("%s is %s", name, refused.Reason)
		}
	}
	for number, wanted := range map[sidecarv1.Reason]int{
		79: http.StatusUnauthorized, 84: http.StatusForbidden, 99: http.StatusForbidden,
		100: http.StatusUnauthorized, -1: http.StatusUnauthorized,
	} {
		if found := (&RefusedError{Reason: reasonFrom(number)}).HTTPStatus(); found != wanted {
			t.Errorf("%d: %d", number, found)
		}
	}
	if found := new(RefusedError).HTTPStatus(); found != http.StatusUnauthorized {
		t.Errorf("no reason: %d", found)
	}
}

func TestIsObject(t *testing.T) {
	for text, wanted := range map[string]bool{
		`{}`: true, " \n{\"a\":1}": true, ``: false, `null`: false, `[1]`: false, `"{}"`: false,
		`{`: false, `{}{}`: false, `{} x`: false, `{"a":}`: false, "\u00a0{}": false,
	} {
		if isObject(text) != wanted {
			t.Errorf("%q", text)
		}
	}
}
