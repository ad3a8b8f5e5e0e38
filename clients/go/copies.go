package bitting

import (
	"container/list"
	"encoding/json"
	"errors"
	"math"
	"strings"
)

// The rules of a follower: which answers may be used again, and until when. docs/src/feed.md gives them their numbers.
// There is no I/O here, and no clock: every instant is a number of milliseconds by one clock.

const (
	// The bound as long as no answer has told it.
	defaultBoundMS = 5_000
	// An answer to a caller's own question may be this old, even if nothing may be kept. It was current when it was read.
	leastAnswerMS = 1_000
	// An answer that was asked for so long ago is asked for again behind its use, so that Bitting knows that the key is used.
	askAgainMS = 10 * 60 * 1000
	// The most subjects whose last change is remembered.
	maxSubjects = 20_000
)

// answer is Bitting's answer about a key.
type answer struct {
	Valid            *bool           `json:"valid"`
	Code             string          `json:"code"`
	KeyID            string          `json:"key_id"`
	Name             string          `json:"name"`
	Kind             string          `json:"kind"`
	Owner            Owner           `json:"owner"`
	Scopes           json.RawMessage `json:"scopes"`
	OperatorMetadata json.RawMessage `json:"operator_metadata"`
	Seq              *int64          `json:"seq"`
	Subjects         []string        `json:"subjects"`
	AgeMS            float64         `json:"age_ms"`
	FreshForMS       *float64        `json:"fresh_for_ms"`
	EndsInMS         *float64        `json:"ends_in_ms"`
	OutgoingUntil    string          `json:"outgoing_until"`
	Conditional      bool            `json:"conditional"`
	Degraded         bool            `json:"degraded"`

	held []string
}

// UnmarshalJSON reads an answer, and refuses one that does not tell what a verdict needs.
func (a *answer) UnmarshalJSON(text []byte) error {
	type plain answer
	if err := json.Unmarshal(text, (*plain)(a)); err != nil {
		return err
	}
	if a.Valid == nil {
		return errors.New("the answer to the verification has no `valid`")
	}
	if *a.Valid && len(a.Scopes) == 0 {
		return errors.New("the answer to the verification has no `scopes`")
	}
	if len(a.Scopes) == 0 {
		return nil
	}
	return json.Unmarshal(a.Scopes, &a.held)
}

// news is an answer of the feed.
type news struct {
	Base           int64    `json:"base"`
	Head           int64    `json:"head"`
	AgeMS          float64  `json:"age_ms"`
	MaxStalenessMS float64  `json:"max_staleness_ms"`
	Changes        []change `json:"changes"`
}

type change struct {
	seq     int64
	subject string
}

// UnmarshalJSON reads a change: `[7, "01900000-…"]`.
func (c *change) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&c.seq, &c.subject})
}

type entry struct {
	name    string
	answer  *answer
	sentAt  float64
	askedAt float64
}

// copies has the answers that are kept, and the feed that vouches for them.
type copies struct {
	head  int64
	isFed bool
	base  int64

	lastChange map[string]int64
	readAt     float64
	ownBoundMS float64
	maxBoundMS float64

	maxKeys int
	entries map[string]*list.Element
	// The entries, the one that was used last at the end.
	used *list.List
}

func newCopies(maxKeys int, maxStalenessMS float64) *copies {
	return &copies{
		lastChange: map[string]int64{}, readAt: math.Inf(-1), ownBoundMS: defaultBoundMS, maxBoundMS: maxStalenessMS,
		maxKeys: maxKeys, entries: map[string]*list.Element{}, used: list.New(),
	}
}

func (c *copies) boundMS() float64 {
	return math.Min(c.ownBoundMS, c.maxBoundMS)
}

func (c *copies) feedAgeMS(now float64) float64 {
	return now - c.readAt
}

// hear is F1. It hears an answer of the feed to a question that was sent at `sentAt` with `after`, nil for the first.
func (c *copies) hear(heard news, after *int64, sentAt float64) {
	if heard.Head < c.head {
		return
	}
	c.ownBoundMS = heard.MaxStalenessMS
	if !c.isFed || after == nil || heard.Base > *after {
		c.base, c.isFed = heard.Base, true
		c.lastChange = map[string]int64{}
	}
	for _, change := range heard.Changes {
		if change.seq > c.lastChange[change.subject] {
			c.lastChange[change.subject] = change.seq
		}
	}
	c.head = heard.Head
	c.readAt = math.Max(c.readAt, sentAt-heard.AgeMS)
	if len(c.lastChange) > maxSubjects {
		c.base = c.head
		c.lastChange = map[string]int64{}
	}
}

// keep keeps an answer about a key, to a question that was sent at `sentAt`, unless a newer one is there. F9. One about a
// key with conditions is for its caller alone, and what was kept about the key is dropped.
func (c *copies) keep(name string, kept *answer, sentAt float64) {
	if held := c.entry(name); held != nil && isOlder(kept, held.answer) {
		return
	}
	c.drop(c.entries[name])
	if kept.Conditional {
		return
	}
	c.entries[name] = c.used.PushBack(&entry{name: name, answer: kept, sentAt: sentAt, askedAt: sentAt})
	if len(c.entries) > c.maxKeys {
		c.drop(c.used.Front())
	}
}

func isOlder(a, b *answer) bool {
	return a.Seq != nil && b.Seq != nil && *a.Seq < *b.Seq
}

func (c *copies) drop(element *list.Element) {
	if element == nil {
		return
	}
	if dropped, ok := c.used.Remove(element).(*entry); ok {
		delete(c.entries, dropped.name)
	}
}

func (c *copies) entry(name string) *entry {
	element := c.entries[name]
	if element == nil {
		return nil
	}
	found, _ := element.Value.(*entry)
	return found
}

// use notes a use of a key. It returns true if it is time to ask about the key again, and takes that as done.
func (c *copies) use(name string, now float64) bool {
	used := c.entry(name)
	if used == nil {
		return false
	}
	c.used.MoveToBack(c.entries[name])
	isDue := now-used.askedAt > askAgainMS
	if isDue {
		used.askedAt = now
	}
	return isDue
}

// contradiction is F2.1: the number of the newest change that the answer about a key does not know of; 0 if there is none.
func (c *copies) contradiction(name string) int64 {
	if held := c.entry(name); held != nil {
		return c.newerThan(held.answer)
	}
	return 0
}

func (c *copies) newerThan(known *answer) int64 {
	if known.Seq == nil || !c.isFed {
		return 0
	}
	newest := c.base
	for _, subject := range known.Subjects {
		if seq := c.lastChange[subject]; seq > newest {
			newest = seq
		}
	}
	if newest > *known.Seq {
		return newest
	}
	return 0
}

// judge is F2 and F3: the answer in an entry as it is at `now`; nil if Bitting must be asked. A caller that came at `since`
// may use an answer to a question that was sent later, however short the bound is.
func (c *copies) judge(asked *entry, now, since float64) *answer {
	if asked == nil || c.newerThan(asked.answer) > 0 {
		return nil
	}
	known, elapsedMS := asked.answer, now-asked.sentAt
	isOwn := asked.sentAt >= since && (known.Degraded || elapsedMS+known.AgeMS <= math.Max(c.boundMS(), leastAnswerMS))
	isFresh := (known.FreshForMS == nil || elapsedMS < *known.FreshForMS) && elapsedMS+known.AgeMS < c.boundMS()
	isKnown := c.boundMS() > 0 && known.Seq != nil && *known.Seq <= c.head
	isVouchedFor := isKnown && c.feedAgeMS(now) <= c.boundMS()
	if !isOwn && (known.Conditional || !(isFresh || isVouchedFor)) {
		return nil
	}
	if *known.Valid && known.EndsInMS != nil && elapsedMS >= *known.EndsInMS {
		ended, no := *known, false
		ended.Valid, ended.Code = &no, "api_key_expired"
		if known.OutgoingUntil != "" {
			ended.Code = "key_rotated"
		}
		return &ended
	}
	return known
}

// missingScopes is F6: the required scopes that are not held. `held` is nil for everything.
func missingScopes(held, required []string) []string {
	if held == nil {
		return nil
	}
	var missing []string
	for _, scope := range required {
		resource, _, _ := strings.Cut(scope, ":")
		if !contains(held, scope) && !contains(held, resource+":*") {
			missing = append(missing, scope)
		}
	}
	return missing
}

func contains(scopes []string, wanted string) bool {
	for _, scope := range scopes {
		if scope == wanted {
			return true
		}
	}
	return false
}
