package bitting

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// The driver of the rules: a referee (tests/clients/conformance.mjs) tells the time, who comes with which key, and what
// Bitting answers, one JSON text a line, and hears on a line what the verifier asks and decides.
type driver struct {
	mu       sync.Mutex
	verifier *Verifier
	copies   *copies
	now      float64
	// The goroutines that were started, those that ended, and those that wait for an answer of Bitting.
	started, ended, pending int

	asks     []*ask
	verdicts []event
	numbered []*ask
}

type command struct {
	Do     string          `json:"do"`
	At     float64         `json:"at"`
	ID     int             `json:"id"`
	Key    string          `json:"key"`
	Body   *string         `json:"body"`
	Answer json.RawMessage `json:"answer"`
	After  *int64          `json:"after"`
	SentAt float64         `json:"sent_at"`
}

type ask struct {
	path, body string
	answer     chan *string
}

type event struct {
	Ask     *int            `json:"ask,omitempty"`
	Path    string          `json:"path,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
	Verdict *int            `json:"verdict,omitempty"`
	Valid   bool            `json:"valid"`
	Code    string          `json:"code,omitempty"`
}

func TestMain(m *testing.M) {
	if os.Getenv("BITTING_CONFORMANCE") == "" {
		os.Exit(m.Run())
	}
	d := &driver{}
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var said command
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			panic(err)
		}
		events, err := d.obey(said)
		if err == nil {
			err = out.Encode(events)
		}
		if err != nil {
			panic(err)
		}
	}
}

func (d *driver) obey(said command) ([]event, error) {
	d.mu.Lock()
	d.now = said.At
	d.mu.Unlock()
	switch said.Do {
	case "copies":
		d.copies = newCopies(10, math.Inf(1))
	case "hear":
		var heard news
		if err := json.Unmarshal(said.Answer, &heard); err != nil {
			return nil, err
		}
		d.copies.hear(heard, said.After, said.SentAt)
	case "keep":
		kept := new(answer)
		if err := json.Unmarshal(said.Answer, kept); err != nil {
			return nil, err
		}
		d.copies.keep("key", kept, said.SentAt)
	case "judge":
		if known := d.copies.judge(d.copies.entry("key"), said.At, math.Inf(1)); known != nil {
			return []event{{Code: known.Code, Valid: *known.Valid}}, nil
		}
		return []event{{Code: "ask"}}, nil
	case "verifier":
		*d = driver{}
		v := New(Options{URL: "https://bitting.example", Key: "own", Timeout: time.Hour, HTTPClient: &http.Client{Transport: d}})
		v.clock = func() float64 {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.now
		}
		v.spawn = d.spawn
		d.verifier = v
	case "verify":
		d.spawn(func() {
			verdict := d.verifier.Verify(context.Background(), said.Key)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.verdicts = append(d.verdicts, event{Verdict: &said.ID, Valid: verdict.Valid, Code: verdict.Code})
		})
		d.settle()
	case "answer":
		d.mu.Lock()
		d.pending--
		d.mu.Unlock()
		d.numbered[said.ID].answer <- said.Body
		d.settle()
	default:
		return nil, errors.New("no such command: " + said.Do)
	}
	return d.events(), nil
}

func (d *driver) spawn(work func()) {
	d.mu.Lock()
	d.started++
	d.mu.Unlock()
	go func() {
		work()
		d.mu.Lock()
		d.ended++
		d.mu.Unlock()
	}()
}

// RoundTrip asks the referee.
func (d *driver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	asked := &ask{request.URL.RequestURI(), string(body), make(chan *string, 1)}
	d.mu.Lock()
	d.asks = append(d.asks, asked)
	d.pending++
	d.mu.Unlock()
	text := <-asked.answer
	if text == nil {
		return nil, errors.New("lost")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader([]byte(*text))), Request: request}, nil
}

// settle returns when everybody waits for an answer.
func (d *driver) settle() {
	count := func() [3]int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return [3]int{d.started, d.ended, d.pending}
	}
	for {
		before := count()
		waiting := 0
		d.verifier.mu.Lock()
		for _, shared := range d.verifier.asking {
			waiting += shared.waiters
		}
		d.verifier.mu.Unlock()
		if before == count() && before[0]-before[1]-before[2] == waiting {
			return
		}
		runtime.Gosched()
	}
}

// events has what was asked and decided, in an order that does not depend on who ran first.
func (d *driver) events() []event {
	events := append([]event{}, d.verdicts...)
	sort.Slice(events, func(a, b int) bool { return *events[a].Verdict < *events[b].Verdict })
	sort.Slice(d.asks, func(a, b int) bool {
		return strings.Compare(d.asks[a].path+d.asks[a].body, d.asks[b].path+d.asks[b].body) < 0
	})
	for _, asked := range d.asks {
		id := len(d.numbered)
		d.numbered = append(d.numbered, asked)
		events = append(events, event{Ask: &id, Path: asked.path, Body: json.RawMessage(asked.body)})
	}
	d.verdicts, d.asks = nil, nil
	return events
}
