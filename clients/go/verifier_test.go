package bitting

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

const key = "bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34"

// scene is Bitting with this answer about every key. It knows no changes.
type scene struct {
	mu       sync.Mutex
	asked    []string
	answer   string
	status   int
	held     chan struct{}
	now      float64
	verifier *Verifier
}

func newScene(t *testing.T, options Options) *scene {
	t.Helper()
	s := &scene{status: http.StatusOK, now: 1_000}
	s.answer = `{"valid": true, "code": "valid", "key_id": "k", "scopes": ["orders:read", "users:*"], "seq": 7, "subjects": ["a"], "fresh_for_ms": 5000}`
	options.URL, options.Key, options.HTTPClient = "https://bitting.example/", "own", &http.Client{Transport: s}
	s.verifier = New(options)
	s.verifier.clock = func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}
	return s
}

func (s *scene) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.asked = append(s.asked, request.URL.Path+string(body))
	text, status, held := s.answer, s.status, s.held
	s.mu.Unlock()
	if held != nil {
		<-held
	}
	if request.URL.Path == "/v1/feed" {
		text = `{"base": 7, "head": 7, "age_ms": 0, "max_staleness_ms": 5000, "changes": []}`
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Request: request}, nil
}

// paths returns the paths that were asked, each with the number of questions.
func (s *scene) paths() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for _, asked := range s.asked {
		path, _, _ := strings.Cut(asked, "{")
		count[path]++
	}
	return count
}

// waitForFeed waits for what is asked behind an answer.
func (s *scene) waitForFeed(t *testing.T) {
	t.Helper()
	for {
		s.verifier.mu.Lock()
		isFed := s.verifier.copies.isFed
		s.verifier.mu.Unlock()
		if isFed {
			return
		}
		runtime.Gosched()
	}
}

func TestVerifyAsksNothingForAWarmKey(t *testing.T) {
	s := newScene(t, Options{})
	for i := 0; i < 100; i++ {
		if got := s.verifier.Verify(context.Background(), key, "orders:read", "users:write"); !got.Valid || got.Status != 200 || got.KeyID != "k" {
			t.Fatalf("%+v", got)
		}
	}
	s.waitForFeed(t)
	if got := s.paths(); !reflect.DeepEqual(got, map[string]int{"/v1/keys/verify": 1, "/v1/feed": 1}) {
		t.Fatalf("%v", got)
	}
}

func TestVerifyAsksOnceForCallersWhoComeTogether(t *testing.T) {
	s := newScene(t, Options{})
	s.held = make(chan struct{})
	var callers sync.WaitGroup
	for i := 0; i < 50; i++ {
		callers.Add(1)
		go func() {
			defer callers.Done()
			if got := s.verifier.Verify(context.Background(), key); !got.Valid {
				t.Errorf("%+v", got)
			}
		}()
	}
	for waiting := 0; waiting < 50; {
		s.verifier.mu.Lock()
		waiting = 0
		for _, shared := range s.verifier.asking {
			waiting += shared.waiters
		}
		s.verifier.mu.Unlock()
		runtime.Gosched()
	}
	close(s.held)
	callers.Wait()
	if got := s.paths()["/v1/keys/verify"]; got != 1 {
		t.Fatalf("%d questions", got)
	}
}

func TestVerifyRefusesWithTheCodesOfTheOtherLibraries(t *testing.T) {
	for _, c := range []struct {
		name, key, answer string
		status            int
		scopes            []string
		want              Verdict
	}{
		{"no key", "", "", 200, nil, Verdict{Code: "missing_api_key", Status: 401}},
		{"no checksum", key[:len(key)-1] + "x", "", 200, nil, Verdict{Code: "malformed_api_key", Status: 401}},
		{"unknown key", key, `{"valid": false, "code": "invalid_api_key"}`, 200, nil, Verdict{Code: "invalid_api_key", Status: 401}},
		{"suspended", key, `{"valid": false, "code": "organization_suspended"}`, 200, nil, Verdict{Code: "organization_suspended", Status: 403}},
		{"server fails", key, `{"valid": true, "code": "valid", "scopes": null}`, 500, nil, Verdict{Code: "unavailable", Status: 503}},
		{"no valid", key, `{"code": "valid", "scopes": null}`, 200, nil, Verdict{Code: "unavailable", Status: 503}},
		{"no scopes", key, `{"valid": true, "code": "valid"}`, 200, nil, Verdict{Code: "unavailable", Status: 503}},
		{"no JSON", key, `valid`, 200, nil, Verdict{Code: "unavailable", Status: 503}},
		{
			"missing scope", key, `{"valid": true, "code": "valid", "scopes": ["orders:read"]}`, 200, []string{"orders:write", "orders:read"},
			Verdict{Code: "insufficient_scope", Status: 403, MissingScopes: []string{"orders:write"}, Scopes: []string{"orders:read"}},
		},
		{"full access", key, `{"valid": true, "code": "valid", "scopes": null}`, 200, []string{"orders:write"}, Verdict{Valid: true, Code: "valid", Status: 200, FullAccess: true}},
	} {
		s := newScene(t, Options{})
		s.answer, s.status = c.answer, c.status
		if got := s.verifier.Verify(context.Background(), c.key, c.scopes...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}

func TestVerifyGivesUpWithItsContextAndTheQuestionGoesOn(t *testing.T) {
	s := newScene(t, Options{})
	s.held = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := s.verifier.Verify(ctx, key); got.Code != "unavailable" {
		t.Fatalf("%+v", got)
	}
	close(s.held)
	if got := s.verifier.Verify(context.Background(), key); !got.Valid || s.paths()["/v1/keys/verify"] != 1 {
		t.Fatalf("%+v after %v", got, s.paths())
	}
}

func TestVerifyForAsksAboutAKeyWithConditionsEachTime(t *testing.T) {
	s := newScene(t, Options{})
	s.answer = `{"valid": true, "code": "valid", "scopes": [], "seq": 7, "subjects": ["a"], "fresh_for_ms": 0, "conditional": true}`
	for _, ip := range []string{"192.0.2.7", "192.0.2.8"} {
		if got := s.verifier.VerifyFor(context.Background(), Client{IP: ip}, key); !got.Valid {
			t.Fatalf("%+v", got)
		}
	}
	sort.Strings(s.asked)
	want := []string{`/v1/keys/verify{"client":{"ip":"192.0.2.7"},"key":"` + key + `"}`, `/v1/keys/verify{"client":{"ip":"192.0.2.8"},"key":"` + key + `"}`}
	if !reflect.DeepEqual(s.asked, want) || s.verifier.Len() != 0 {
		t.Fatalf("%v", s.asked)
	}
}

func TestTablesOfKeysHaveABound(t *testing.T) {
	kept := newCopies(3, 5_000)
	for _, name := range []string{"a", "b", "c", "a", "d"} {
		yes := true
		if !kept.use(name, 0) && kept.entry(name) == nil {
			kept.keep(name, &answer{Valid: &yes}, 0)
		}
	}
	if len(kept.entries) != 3 || kept.used.Len() != 3 || kept.entry("b") != nil || kept.entry("a") == nil {
		t.Fatalf("%v", kept.entries)
	}
}

func TestClockCountsOn(t *testing.T) {
	clock := elapsed()
	before := clock()
	if after := clock(); before < 0 || after < before || after > before+float64(time.Hour/time.Millisecond) {
		t.Fatalf("%v, then %v", before, after)
	}
}

func TestRequireLetsOnAndRefuses(t *testing.T) {
	s := newScene(t, Options{})
	orders := http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		verdict, _ := FromContext(request.Context())
		_, _ = io.WriteString(response, verdict.KeyID)
	})
	for _, c := range []struct {
		authorization, scope string
		status               int
		challenge, code      string
	}{
		{"Bearer " + key, "orders:read", 200, "", ""},
		{"bearer  " + key + " ", "orders:read", 200, "", ""},
		{"", "orders:read", 401, "Bearer", "missing_api_key"},
		{"Basic " + key, "orders:read", 401, "Bearer", "missing_api_key"},
		{"Bearer nonsense", "orders:read", 401, "Bearer", "malformed_api_key"},
		{"Bearer " + key, "orders:write", 403, `Bearer error="insufficient_scope", scope="orders:write"`, "insufficient_scope"},
	} {
		request := httptest.NewRequest(http.MethodGet, "/orders", nil)
		request.Header.Set("Authorization", c.authorization)
		response := httptest.NewRecorder()
		Require(s.verifier, c.scope)(orders).ServeHTTP(response, request)
		if response.Code != c.status || response.Header().Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%+v: %d %v", c, response.Code, response.Header())
		}
		var body struct{ Error struct{ Code string } }
		if c.code == "" {
			if response.Body.String() != "k" {
				t.Errorf("%+v: %s", c, response.Body)
			}
		} else if err := json.Unmarshal(response.Body.Bytes(), &body); err != nil || body.Error.Code != c.code {
			t.Errorf("%+v: %v %v", c, body, err)
		}
	}
	s = newScene(t, Options{})
	s.status = 500
	request := httptest.NewRequest(http.MethodGet, "/orders", nil)
	request.Header.Set("Authorization", "Bearer "+key)
	response := httptest.NewRecorder()
	Require(s.verifier)(orders).ServeHTTP(response, request)
	if response.Code != 503 || response.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v", response.Code, response.Header())
	}
}

func TestConnectedTellsTheAddressOfTheConnection(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.RemoteAddr = "[2001:db8::7]:4711"
	if got := Connected(request); got.IP != "2001:db8::7" {
		t.Fatalf("%+v", got)
	}
}
