package bitting

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strings"
)

type verdictOf struct{}

var bearer = regexp.MustCompile(`^(?i:Bearer) +(\S+) *$`)

// Bearer returns the key in the header `Authorization` of a request; an empty text if there is none.
func Bearer(request *http.Request) string {
	if found := bearer.FindStringSubmatch(request.Header.Get("Authorization")); found != nil {
		return found[1]
	}
	return ""
}

// Require lets on those whose key holds these scopes, and answers all others with 401, 403 or 503:
// `mux.Handle("/orders", bitting.Require(verifier, "orders:read")(orders))`. FromContext has the verdict then. Nothing is
// told of who presents the key, so that keys with conditions are refused: RequireFor tells it.
func Require(verifier *Verifier, scopes ...string) func(http.Handler) http.Handler {
	return RequireFor(verifier, func(*http.Request) Client { return Client{} }, scopes...)
}

// RequireFor is Require, and tells who presents the key. Connected is for services without a proxy before them.
func RequireFor(verifier *Verifier, client func(*http.Request) Client, scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
			verdict := verifier.VerifyFor(request.Context(), client(request), Bearer(request), scopes...)
			if !verdict.Valid {
				refuse(response, verdict)
				return
			}
			next.ServeHTTP(response, request.WithContext(context.WithValue(request.Context(), verdictOf{}, verdict)))
		})
	}
}

// FromContext returns the verdict on the key of a request that Require has let on.
func FromContext(ctx context.Context) (Verdict, bool) {
	verdict, ok := ctx.Value(verdictOf{}).(Verdict)
	return verdict, ok
}

// Connected tells the address of the connection.
func Connected(request *http.Request) Client {
	host, _, err := net.SplitHostPort(request.RemoteAddr)
	if err != nil {
		return Client{}
	}
	return Client{IP: host}
}

func refuse(response http.ResponseWriter, verdict Verdict) {
	missing := strings.Join(verdict.MissingScopes, ", ")
	message, challenge := "The API key was refused: "+verdict.Code, "Bearer"
	if missing != "" {
		message = "Insufficient API key scopes. Required: " + missing
		challenge = `Bearer error="` + verdict.Code + `", scope="` + strings.Join(verdict.MissingScopes, " ") + `"`
	}
	if verdict.Status == http.StatusServiceUnavailable {
		response.Header().Set("Retry-After", "1")
	} else {
		response.Header().Set("WWW-Authenticate", challenge)
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(verdict.Status)
	body := map[string]any{"error": map[string]string{"code": verdict.Code, "message": message}}
	// The caller who has gone away needs no answer.
	_ = json.NewEncoder(response).Encode(body)
}
