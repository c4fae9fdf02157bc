package jwtsidecar

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
)

const retryAfterSeconds = "1"

// Middleware lets a request through to the handler only with a token that meets the requirements, in
// one `Authorization: Bearer` header (RFC 6750, section 2.1). [TokenFromContext] gives the handler what
// the token says. Any other request is answered by [Client.Deny].
func (c *Client) Middleware(requirements Requirements) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, err := c.admit(r.Context(), r.Header["Authorization"], requirements)
			if err != nil {
				c.Deny(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// Deny answers a request after an error of [Client.Validate], for handlers that call it themselves, such
// as those that take DPoP proofs: with the error's HTTP status, a challenge or Retry-After, and a body in
// JSON. An error of another kind is answered as a [RejectedError]. What tells of the inside is logged and
// not sent.
func (c *Client) Deny(w http.ResponseWriter, r *http.Request, err error) {
	found := c.denial(r.Context(), err)
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if challenge := found.WWWAuthenticate(c.realm); challenge != "" {
		header.Set("WWW-Authenticate", challenge)
	}
	if found.HTTPStatus() == http.StatusServiceUnavailable {
		header.Set("Retry-After", retryAfterSeconds)
	}
	w.WriteHeader(found.HTTPStatus())
	// A client that is gone needs no answer.
	_ = json.NewEncoder(w).Encode(found.body())
}

// denial is what to answer to an error; where the client is not told the cause, the log is.
func (c *Client) denial(ctx context.Context, err error) denial {
	found := denialFrom(err)
	if _, told := found.(*RefusedError); !told {
		c.log().ErrorContext(ctx, "a token could not be checked", slog.String("cause", found.Error()))
	}
	return found
}

func (c *Client) log() *slog.Logger {
	if c.logger != nil {
		return c.logger
	}
	return slog.Default()
}
