package communicator

import (
	"slices"
	"strings"
	"sync"
	"time"

	"kiln"
)

// A Rung is how far a try to get into a machine has come.
type Rung int

// The rungs, from below. Each communicator has all of them.
const (
	Up      Rung = iota // the machine is up as far as its builder knows
	Address             // its address and port are known
	Port                // something takes connections there
	Banner              // and has said that it is what is looked for
	In                  // it has let us in
)

// names of the rungs in events, which others may read.
var names = []string{"up", "address", "port", "banner", "authenticated"}

// missing is what a try has not found that did not come to a rung.
var missing = []string{
	Address: "no address", Port: "no open port", Banner: "no banner", In: "not authenticated",
}

// quietTime is how long nothing is said of tries that fail, and between two words on them:
// most machines are in by then. After it, a wrong port or key shows itself long before
// the time is over.
const quietTime = 5 * time.Second

// A Ladder follows the tries to get into a machine, and tells by events how far they come.
// Nil follows nothing.
type Ladder struct {
	b    *kiln.Build
	mu   sync.Mutex
	now  Rung     // of this try
	at   Rung     // that was told last
	told []string // what was found on each rung, as far as at
	seen []string // in this try
	said time.Time
	word string // that was said last
}

// Climb begins to follow. Up says what the builder knows to be up, such as "process 4242";
// it may be empty.
func Climb(b *kiln.Build, up string) *Ladder {
	l := &Ladder{b: b, at: -1, said: time.Now()}
	l.begin(up)
	l.tell()
	return l
}

func (l *Ladder) begin(up string) {
	if up != "" {
		up += " up"
	}
	l.now, l.seen = Up, []string{up}
}

// Reach says that this try has come to a rung, and what it found there: the address, or
// the banner.
func (l *Ladder) Reach(r Rung, found string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r {
	case Address:
		found = "address " + found
	case Port:
		found = "port open"
	case Banner:
		found = strings.TrimSpace("banner " + printable(found))
	case In:
		found = "authenticated"
	}
	for len(l.seen) <= int(r) {
		l.seen = append(l.seen, "")
	}
	l.now, l.seen[r] = r, found
	if r > l.at {
		l.tell()
	}
}

// Failed ends a try, after which another begins. It is said only where that takes long,
// and when something has changed.
func (l *Ladder) Failed(err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell()
	if word := l.text(); word != l.word && time.Since(l.said) >= quietTime {
		l.b.Say("Not connected yet: %s (%v)", word, err)
		l.said, l.word = time.Now(), word
	}
	up := l.seen[0]
	l.begin("")
	l.seen[0] = up
}

// Stopped says for an error how far the last try came.
func (l *Ladder) Stopped() string {
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text()
}

// tell sends an event if the rung is another one than before.
func (l *Ladder) tell() {
	news := l.now != l.at
	l.at, l.told = l.now, slices.Clone(l.seen)
	if !news {
		return
	}
	l.b.Emit(kiln.Event{Kind: kiln.EventProgress, Text: l.text(), Data: names[:l.now+1]})
}

// text is what the last try found, and what is missing.
func (l *Ladder) text() string {
	var found []string
	for _, what := range l.told {
		if what != "" {
			found = append(found, what)
		}
	}
	if l.at < In {
		found = append(found, missing[l.at+1])
	}
	return strings.Join(found, ", ")
}

// printable is a banner as it may stand in a message: short, and with nothing in it that
// moves a cursor.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), 80)]
}
