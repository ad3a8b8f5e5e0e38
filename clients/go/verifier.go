// Package bitting verifies API keys of Bitting in the memory of this process, and refuses a revoked key within the
// deployment's bound, 5 seconds by default: it follows Bitting's change feed. It fails closed: if Bitting cannot be asked
// and what is in memory is too old, the verdict is `unavailable` with 503.
package bitting

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// The time without a question about the feed after one that was refused.
	refusedFeedMS = 60 * 1000
	// The attempts to get an answer that no change contradicts.
	attempts = 3
	// The most bytes of an answer that are read.
	maxAnswer = 4 << 20
)

// Options of a verifier. URL and Key are needed.
type Options struct {
	// URL is the address of Bitting.
	URL string
	// Key asks Bitting. It needs the scopes of the bundle `verifier`: `api-keys:verify` and `feed:read`.
	Key string
	// MaxStaleness is a bound that is shorter than the deployment's. Zero means the deployment's.
	MaxStaleness time.Duration
	// MaxKeys is the most keys in memory. Zero means 10,000.
	MaxKeys int
	// Timeout is the time that Bitting has for an answer. Zero means 3 seconds.
	Timeout time.Duration
	// HTTPClient asks Bitting. Nil means a client of the verifier's own.
	HTTPClient *http.Client
	// OnError hears why Bitting could not be asked. It is called from several goroutines.
	OnError func(error)
}

// Owner tells whose a key is.
type Owner struct {
	OrganizationID   string `json:"organization_id"`
	UserID           string `json:"user_id"`
	LiveEvaluationID string `json:"live_evaluation_id"`
}

// Client tells who presents a key. A key with conditions about what is not told is refused.
type Client struct {
	// IP is the address, from the connection or from a proxy of your own, never from a header that a caller can set.
	IP string `json:"ip,omitempty"`
	// Country is a code of ISO 3166-1, or what Cloudflare says.
	Country string `json:"country,omitempty"`
}

// Verdict is the result of a verification.
type Verdict struct {
	// Valid is true if the key is valid and holds all required scopes.
	Valid bool
	// Code is `valid`, or why the key is not: a code of Bitting's, `missing_api_key`, or `unavailable` if nobody can tell.
	Code string
	// Status is the HTTP status for the caller: 200, 401, 403 or 503.
	Status int
	// MissingScopes are the required scopes that the key lacks, if it is otherwise valid.
	MissingScopes []string
	// KeyID, Name, Kind and Owner are those of the key, if it is known.
	KeyID, Name, Kind string
	Owner             Owner
	// FullAccess is true if the key holds every scope, and Scopes are the others'.
	FullAccess bool
	Scopes     []string
	// OperatorMetadata is the JSON of what Bitting's operator has noted about the key.
	OperatorMetadata json.RawMessage
}

// Verifier verifies keys. One is for all goroutines of a process.
type Verifier struct {
	options Options
	http    *http.Client
	clock   func() float64
	spawn   func(func())

	mu       sync.Mutex
	copies   *copies
	asking   map[about]*question
	last     float64
	polledAt float64
}

// about tells what is asked: a key, for who presents it.
type about struct {
	name   string
	client Client
}

// question is under way. Those who want its answer wait until done is closed.
type question struct {
	done chan struct{}
	// How many wait. The test of the rules goes on when everybody does.
	waiters int
	asked   *entry
	err     error
}

// New makes a verifier.
func New(options Options) *Verifier {
	options.URL = strings.TrimRight(options.URL, "/")
	if options.MaxKeys <= 0 {
		options.MaxKeys = 10_000
	}
	if options.Timeout <= 0 {
		options.Timeout = 3 * time.Second
	}
	maxStalenessMS := math.Inf(1)
	if options.MaxStaleness > 0 {
		maxStalenessMS = float64(options.MaxStaleness) / float64(time.Millisecond)
	}
	client := options.HTTPClient
	if client == nil {
		client = &http.Client{}
	}
	return &Verifier{
		options: options, http: client, clock: elapsed(), spawn: func(work func()) { go work() },
		copies: newCopies(options.MaxKeys, maxStalenessMS), asking: map[about]*question{},
		last: math.Inf(-1), polledAt: math.Inf(-1),
	}
}

// Len returns the number of keys in memory.
func (v *Verifier) Len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.copies.entries)
}

// Verify verifies a key that must hold these scopes. If the context ends first, the verdict is `unavailable`.
func (v *Verifier) Verify(ctx context.Context, key string, scopes ...string) Verdict {
	return v.VerifyFor(ctx, Client{}, key, scopes...)
}

// VerifyFor verifies a key that this client presents. Keys with conditions need it.
func (v *Verifier) VerifyFor(ctx context.Context, client Client, key string, scopes ...string) Verdict {
	if key == "" {
		return refused("missing_api_key")
	}
	if !isWellFormed(key) {
		return refused("malformed_api_key")
	}
	name := digest(key)
	since := v.begin()
	for attempt := 0; attempt <= attempts; attempt++ {
		if known := v.judge(name, since); known != nil {
			v.after(name, key)
			return verdict(known, scopes)
		}
		if attempt == attempts {
			break
		}
		asked, err := v.ask(ctx, name, key, client, attempt > 0)
		if err != nil {
			v.report(err)
			break
		}
		if asked.answer.Conditional {
			if own := v.judgeOwn(asked, since); own != nil {
				return verdict(own, scopes)
			}
		}
	}
	return refused("unavailable")
}

// now is the time by the clock, and later than each time before, so that it orders what happens within one tick. The lock
// is held.
func (v *Verifier) now() float64 {
	v.last = math.Max(v.clock(), v.last+0.0001)
	return v.last
}

func (v *Verifier) begin() float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now()
}

func (v *Verifier) judge(name string, since float64) *answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.copies.judge(v.copies.entry(name), v.now(), since)
}

func (v *Verifier) judgeOwn(asked *entry, since float64) *answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.copies.judge(asked, v.now(), since)
}

func (v *Verifier) report(err error) {
	if v.options.OnError != nil {
		v.options.OnError(err)
	}
}

// ask asks about a key. Callers that come meanwhile for the same client wait for the same answer, and the question goes on
// if the first of them goes away.
func (v *Verifier) ask(ctx context.Context, name, key string, client Client, again bool) (*entry, error) {
	of := about{name, client}
	v.mu.Lock()
	shared := v.asking[of]
	if shared == nil {
		shared = &question{done: make(chan struct{})}
		v.asking[of] = shared
		v.spawn(func() { v.answer(of, shared, key, again) })
	}
	shared.waiters++
	v.mu.Unlock()
	select {
	case <-shared.done:
		return shared.asked, shared.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (v *Verifier) answer(of about, shared *question, key string, again bool) {
	err := errors.New("the question about a key was not finished")
	var asked *entry
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		shared.asked, shared.err = asked, err
		delete(v.asking, of)
		close(shared.done)
	}()
	asked, err = v.askOnce(of, key, again)
}

func (v *Verifier) askOnce(of about, key string, again bool) (*entry, error) {
	body := map[string]any{"key": key}
	if of.client != (Client{}) {
		body["client"] = of.client
	}
	v.mu.Lock()
	if newer := v.copies.contradiction(of.name); newer > 0 {
		body["at_least"] = newer
	} else if again {
		body["freshness"] = "strong"
	}
	sentAt := v.now()
	v.mu.Unlock()
	got := new(answer)
	if err := v.call("/v1/keys/verify", body, got); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.copies.keep(of.name, got, sentAt)
	return &entry{name: of.name, answer: got, sentAt: sentAt, askedAt: sentAt}, nil
}

// after does what is done behind an answer, for later ones: it asks for the feed's news if they are due, and about a key
// that was not asked about for long. A failure is no failure of this answer.
func (v *Verifier) after(name, key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.copies.use(name, v.now()) {
		v.spawn(func() {
			if _, err := v.ask(context.Background(), name, key, Client{}, false); err != nil {
				v.report(err)
			}
		})
	}
	sentAt, boundMS := v.now(), v.copies.boundMS()
	// No question is waited for longer than until the next one is due.
	if v.copies.feedAgeMS(sentAt) <= boundMS/2 || sentAt-v.polledAt < boundMS/4 || !(boundMS > 0) {
		return
	}
	v.polledAt = sentAt
	var after *int64
	if head := v.copies.head; head > 0 {
		after = &head
	}
	v.spawn(func() {
		if err := v.listen(after, sentAt); err != nil {
			v.report(err)
		}
	})
}

func (v *Verifier) listen(after *int64, sentAt float64) error {
	path := "/v1/feed"
	if after != nil {
		path += "?after=" + strconv.FormatInt(*after, 10)
	}
	var heard news
	err := v.call(path, nil, &heard)
	v.mu.Lock()
	defer v.mu.Unlock()
	var status statusError
	if errors.As(err, &status) && (status.status == http.StatusUnauthorized || status.status == http.StatusForbidden) {
		v.polledAt = sentAt + refusedFeedMS
	}
	if err != nil {
		return err
	}
	v.copies.hear(heard, after, sentAt)
	return nil
}

type statusError struct {
	path   string
	status int
	text   string
}

func (e statusError) Error() string {
	return fmt.Sprintf("%s was answered with %d: %.300s", e.path, e.status, e.text)
}

func (v *Verifier) call(path string, body map[string]any, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), v.options.Timeout)
	defer cancel()
	method, content := http.MethodGet, []byte(nil)
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		method, content = http.MethodPost, text
	}
	request, err := http.NewRequestWithContext(ctx, method, v.options.URL+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+v.options.Key)
	request.Header.Set("Content-Type", "application/json")
	response, err := v.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return statusError{path, response.StatusCode, string(text)}
	}
	return json.Unmarshal(text, into)
}

func verdict(known *answer, scopes []string) Verdict {
	result := Verdict{
		Valid: *known.Valid, Code: known.Code, KeyID: known.KeyID, Name: known.Name, Kind: known.Kind, Owner: known.Owner,
		FullAccess: *known.Valid && known.held == nil,
		// Callers get copies, so that nobody changes what is kept.
		Scopes: append([]string(nil), known.held...), OperatorMetadata: append(json.RawMessage(nil), known.OperatorMetadata...),
	}
	if *known.Valid {
		result.MissingScopes = missingScopes(known.held, scopes)
	}
	if len(result.MissingScopes) > 0 {
		result.Valid, result.Code = false, "insufficient_scope"
	}
	result.Status = status(result.Code)
	return result
}

func refused(code string) Verdict {
	return Verdict{Code: code, Status: status(code)}
}

func status(code string) int {
	switch code {
	case "valid":
		return http.StatusOK
	case "conditions_not_met", "insufficient_scope", "organization_suspended":
		return http.StatusForbidden
	case "unavailable":
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}

// elapsed makes a clock that is never set back, and counts while the machine sleeps. The monotonic clock may stand still
// then; the wall clock tells, by stepping ahead of it. The lock of the verifier is held while it is read.
func elapsed() func() float64 {
	start := time.Now()
	var ahead, slept time.Duration
	return func() float64 {
		now := time.Now()
		monotonic := now.Sub(start)
		step := now.Round(0).Sub(start.Round(0)) - monotonic - ahead
		ahead += step
		if step > 50*time.Millisecond {
			slept += step
		}
		return float64(monotonic+slept) / float64(time.Millisecond)
	}
}

// digest names a key. A key is never kept, only this.
func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return string(sum[:])
}
