package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

var bitting = http.Client{
	Timeout:       5 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// requireScopes lets a request on if its key holds these scopes.
func requireScopes(next http.HandlerFunc, scopes ...string) http.HandlerFunc {
	address := os.Getenv("BITTING_URL") + "/v1/authorize?" + url.Values{"scope": scopes, "client": {"x-bitting-client-ip"}}.Encode()
	return func(response http.ResponseWriter, request *http.Request) {
		question, err := http.NewRequestWithContext(request.Context(), "GET", address, nil)
		if err != nil {
			http.Error(response, "unavailable", http.StatusServiceUnavailable)
			return
		}
		for _, name := range []string{"Authorization", "X-Api-Key"} {
			question.Header[name] = request.Header[name]
		}
		if address, _, err := net.SplitHostPort(request.RemoteAddr); err == nil {
			question.Header.Set("X-Bitting-Client-IP", address)
		}
		answer, err := bitting.Do(question)
		if err != nil {
			http.Error(response, "unavailable", http.StatusServiceUnavailable)
			return
		}
		defer answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			request.Header.Set("X-Bitting-Organization-Id", answer.Header.Get("X-Bitting-Organization-Id"))
			next(response, request)
			return
		}
		for _, name := range []string{"Content-Type", "Retry-After", "Www-Authenticate"} {
			response.Header()[name] = answer.Header[name]
		}
		if answer.StatusCode < 400 {
			answer.StatusCode = http.StatusServiceUnavailable
		}
		response.WriteHeader(answer.StatusCode)
		io.Copy(response, answer.Body)
	}
}

func main() {
	http.HandleFunc("/orders", requireScopes(func(response http.ResponseWriter, request *http.Request) {
		json.NewEncoder(response).Encode(map[string]string{"organization": request.Header.Get("X-Bitting-Organization-Id")})
	}, "orders:read"))
	http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)
}
