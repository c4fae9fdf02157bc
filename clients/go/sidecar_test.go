package jwtsidecar_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	jwtsidecar "github.com/jwt-sidecar/jwt-sidecar/clients/go"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/internal/sidecartest"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

func TestRealSidecar(t *testing.T) {
	process, err := sidecartest.Real(shortDirectory(t))
	if err != nil {
		t.Fatal(err)
	}
	defer process.Kill()
	client := newClient(t, process.Address)
	ctx := t.Context()
	issue := func(t *testing.T, request *sidecarv1.IssueTokenRequest) *jwtsidecar.Issued {
		t.Helper()
		issued, err := client.Issue(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	refused := func(t *testing.T, token string, requirements jwtsidecar.Requirements, wanted jwtsidecar.Reason) {
		t.Helper()
		_, err := client.Validate(ctx, token, requirements)
		equal(t, as[*jwtsidecar.RefusedError](t, err).Reason, wanted)
	}
	alice := func() *sidecarv1.IssueTokenRequest {
		return &sidecarv1.IssueTokenRequest{
			Subject: "alice", Scopes: []string{"orders:read"}, ClaimsJson: `{"tenant": "acme"}`,
		}
	}

	t.Run("valid", func(t *testing.T) {
		issued := issue(t, alice())
		token, err := client.Validate(ctx, issued.Token, jwtsidecar.Requirements{
			IssuerName:     "internal",
			Audiences:      []string{"orders"},
			Scopes:         []string{"orders:read"},
			RequiredClaims: map[string]any{"tenant": []string{"acme", "other"}},
			ClientAddress:  "192.0.2.1",
		})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, token.Subject, "alice")
		equal(t, token.IssuerName, "internal")
		equal(t, token.TokenID, issued.TokenID)
		equal(t, token.KeyID, issued.KeyID)
		equal(t, token.Algorithm, "ES256")
		equal(t, token.ExpireTime, issued.ExpireTime)
		equal(t, token.IssueTime, issued.IssueTime)
		equal(t, token.NotBeforeTime.IsZero(), true)
		var claims map[string]any
		if err := json.Unmarshal([]byte(token.ClaimsJSON), &claims); err != nil {
			t.Fatal(err)
		}
		equal(t, claims["tenant"], any("acme"))
	})
	t.Run("of a consumer", func(t *testing.T) {
		token, err := client.Validate(ctx, issue(t, &sidecarv1.IssueTokenRequest{Consumer: "jack"}).Token, jwtsidecar.Requirements{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, token.Consumer, "jack")
		equal(t, token.Algorithm, "HS256")
	})
	t.Run("refused", func(t *testing.T) {
		token := issue(t, alice()).Token
		refused(t, "", jwtsidecar.Requirements{}, "TOKEN_MISSING")
		refused(t, "a.b.c", jwtsidecar.Requirements{}, "TOKEN_MALFORMED")
		refused(t, token+"\xff", jwtsidecar.Requirements{}, "TOKEN_MALFORMED")
		refused(t, token, jwtsidecar.Requirements{Audiences: []string{"billing"}}, "AUDIENCE_MISMATCH")
		refused(t, token, jwtsidecar.Requirements{Scopes: []string{"orders:write"}}, "SCOPE_INSUFFICIENT")
		refused(t, token, jwtsidecar.Requirements{RequiredClaims: map[string]any{"tenant": "other"}}, "CLAIM_MISMATCH")
		refused(t, token, jwtsidecar.Requirements{Proof: jwtsidecar.Proof{DPoP: "no proof \xff", HTTPMethod: "GET", HTTPURI: "https://shop.example/"}}, "PROOF_INVALID")
	})
	t.Run("expired", func(t *testing.T) {
		for age, wanted := range map[time.Duration]jwtsidecar.Reason{time.Hour: "EXPIRED", -time.Hour: ""} {
			token := jackToken(time.Now().Add(-age), "")
			if wanted != "" {
				refused(t, token, jwtsidecar.Requirements{}, wanted)
			} else if _, err := client.Validate(ctx, token, jwtsidecar.Requirements{}); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a consumer grants itself nothing", func(t *testing.T) {
		boast := jackToken(time.Now().Add(time.Hour), `,"sub":"root","scope":"orders:write","aud":"orders"`)
		token, err := client.Validate(ctx, boast, jwtsidecar.Requirements{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, token.Subject, "")
		equal(t, len(token.Scopes)+len(token.Audiences), 0)
		refused(t, boast, jwtsidecar.Requirements{Scopes: []string{"orders:write"}}, "SCOPE_INSUFFICIENT")
		refused(t, boast, jwtsidecar.Requirements{Audiences: []string{"orders"}}, "AUDIENCE_MISMATCH")
		refused(t, boast, jwtsidecar.Requirements{RequiredClaims: map[string]any{"sub": "root"}}, "CLAIM_MISSING")
	})
	t.Run("rejected", func(t *testing.T) {
		_, err := client.Issue(ctx, &sidecarv1.IssueTokenRequest{Signer: "nobody"})
		rejected := as[*jwtsidecar.RejectedError](t, err)
		equal(t, rejected.Code, codes.FailedPrecondition)
		equal(t, rejected.ErrorReason, "NOT_CONFIGURED")
		_, err = client.Validate(ctx, "a.b.c", jwtsidecar.Requirements{RequiredClaims: map[string]any{"a": make(chan int)}})
		equal(t, as[*jwtsidecar.RejectedError](t, err).Code, codes.InvalidArgument)
	})
	t.Run("refresh", func(t *testing.T) {
		request := alice()
		request.WithRefreshToken = true
		first := issue(t, request)
		equal(t, first.RefreshExpireTime.After(first.ExpireTime), true)
		second, err := client.Refresh(ctx, first.RefreshToken, "orders:read")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Validate(ctx, second.Token, jwtsidecar.Requirements{Scopes: []string{"orders:read"}}); err != nil {
			t.Fatal(err)
		}
		equal(t, second.RefreshToken != first.RefreshToken, true)
		third, err := client.Refresh(ctx, second.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Refresh(ctx, first.RefreshToken)
		equal(t, as[*jwtsidecar.RefusedError](t, err).Reason, "REPLAYED")
		refused(t, third.Token, jwtsidecar.Requirements{}, "REVOKED")
		_, err = client.Refresh(ctx, "")
		equal(t, as[*jwtsidecar.RefusedError](t, err).Reason, "TOKEN_MISSING")
	})
	t.Run("revoke", func(t *testing.T) {
		token := issue(t, alice()).Token
		since, err := client.Revoke(ctx, &sidecarv1.RevokeTokenRequest{Target: &sidecarv1.RevokeTokenRequest_Token{Token: token}})
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(since); age < -time.Minute || age > time.Minute {
			t.Errorf("revoked %s ago", age)
		}
		refused(t, token, jwtsidecar.Requirements{}, "REVOKED")
		_, err = client.Revoke(ctx, &sidecarv1.RevokeTokenRequest{Target: &sidecarv1.RevokeTokenRequest_TokenReference{
			TokenReference: &sidecarv1.TokenReference{Issuer: "https://nobody.example", TokenId: "1", ExpireTime: timestamppb.Now()},
		}})
		equal(t, as[*jwtsidecar.RejectedError](t, err).ErrorReason, "NOT_CONFIGURED")
	})
	t.Run("explain", func(t *testing.T) {
		explained, err := client.Explain(ctx, issue(t, alice()).Token, jwtsidecar.Requirements{Audiences: []string{"billing"}})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, explained.GetResult().GetReason(), sidecarv1.Reason_REASON_AUDIENCE_MISMATCH)
		var failed []string
		for _, check := range explained.GetChecks() {
			if check.GetOutcome() == sidecarv1.Check_OUTCOME_FAILED {
				failed = append(failed, check.GetName())
			}
		}
		equal(t, len(failed), 1)
		equal(t, failed[0], "audience")
	})
	t.Run("jwks", func(t *testing.T) {
		text, err := client.JWKS(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Keys []struct{ Kid, D string } }
		if err := json.Unmarshal([]byte(text), &set); err != nil {
			t.Fatal(err)
		}
		equal(t, len(set.Keys), 1)
		equal(t, set.Keys[0].Kid, issue(t, alice()).KeyID)
		equal(t, set.Keys[0].D, "")
	})
}

// jackToken is one that the consumer jack has signed, with more claims.
func jackToken(expires time.Time, more string) string {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"key":"user-key","exp":%d%s}`, expires.Unix(), more)
	signed := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(claims))
	signature := hmac.New(sha256.New, []byte("an-example-secret-of-32-bytes-or-more"))
	signature.Write([]byte(signed))
	return signed + "." + part(signature.Sum(nil))
}
