package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"kiln"
)

// LiveOptions says how Live draws.
type LiveOptions struct {
	Color bool
	// Size is the window's width and height, asked before each drawing.
	Size func() (width, height int)
	// Now is the clock; nil: the real one.
	Now func() time.Time
	// Every is how often the view is drawn while nothing happens; 0: ten times a
	// second. Negative: only on events, for tests.
	Every time.Duration
}

// Live is a view for a terminal: messages scroll by, and below them stands a row
// for each build that runs, with its phase, step, time and last line.
type Live struct {
	out   io.Writer
	o     LiveOptions
	state *runState

	mu     sync.Mutex
	drawn  int // rows on the screen now
	asking bool
	asked  string       // build whose question stands on the screen
	queue  []kiln.Event // of other builds, held back meanwhile
	last   time.Time
	err    error
	stop   chan struct{}
	done   chan struct{}
}

// redrawAtMost is how often the rows are drawn when events rush by.
const redrawAtMost = 80 * time.Millisecond

// NewLive makes a live view. It must be closed, so that the cursor comes back.
func NewLive(out io.Writer, o LiveOptions) *Live {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every == 0 {
		o.Every = 100 * time.Millisecond
	}
	l := &Live{out: out, o: o, state: newRunState(), stop: make(chan struct{}), done: make(chan struct{})}
	l.write("\x1b[?25l")
	go l.tick()
	return l
}

func (l *Live) tick() {
	defer close(l.done)
	if l.o.Every < 0 {
		<-l.stop
		return
	}
	ticker := time.NewTicker(l.o.Every)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
			l.mu.Lock()
			if !l.asking {
				l.write(l.erase() + l.rows())
			}
			l.mu.Unlock()
		}
	}
}

func (l *Live) write(text string) {
	if _, err := io.WriteString(l.out, text); err != nil && l.err == nil {
		l.err = fmt.Errorf("write to the terminal: %w", err)
	}
}

// Event shows one event.
func (l *Live) Event(e kiln.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking && e.Build != l.asked && e.Kind != kiln.EventPrompt {
		l.queue = append(l.queue, e)
		return
	}
	l.show(e)
	if !l.asking {
		waiting := l.queue
		l.queue = nil
		for _, e := range waiting {
			l.show(e)
		}
	}
}

func (l *Live) show(e kiln.Event) {
	l.state.event(e)
	var scroll string
	switch e.Kind {
	case kiln.EventPrompt:
		l.write(l.erase() + "\x1b[?25h" + Clean(prefix(e, e.Text)) + " ")
		flush(l.out)
		l.asking, l.asked = true, e.Build
		return
	case kiln.EventRunEnd:
		for _, line := range l.state.summary(seconds(e.Seconds)) {
			scroll += l.paint(line.text, map[bool]int{true: red}[line.error]) + "\n"
		}
		l.write(l.erase() + scroll)
		return
	case kiln.EventBuildEnd:
		text, bad := ending(e)
		scroll = l.paint(text, l.colour(e.Build, bad)) + "\n"
	default:
		if text, bad, ok := message(e); ok {
			if e.Build != "" {
				text = prefix(e, text)
			}
			scroll = l.paint(text, l.colour(e.Build, bad)) + "\n"
		}
	}
	if l.asking {
		l.asking = false
		l.write("\x1b[?25l")
	}
	now := l.o.Now()
	if scroll == "" && now.Sub(l.last) < redrawAtMost && l.o.Every > 0 {
		return
	}
	l.last = now
	l.write(l.erase() + scroll + l.rows())
}

func (l *Live) colour(build string, bad bool) int {
	switch {
	case bad:
		return red
	case build == "":
		return 0
	}
	return colours[l.state.build(build).index%len(colours)]
}

// paint colours text and takes out what would move the cursor.
func (l *Live) paint(text string, colour int) string {
	text = strings.ReplaceAll(Clean(text), "\t", "    ")
	if !l.o.Color || colour == 0 {
		return text
	}
	return paint(text, colour)
}

// erase takes the rows off the screen.
func (l *Live) erase() string {
	if l.drawn == 0 {
		return ""
	}
	text := fmt.Sprintf("\x1b[%dA\r\x1b[J", l.drawn)
	l.drawn = 0
	return text
}

// rows draws the builds that run: as many as a third of the window has room for,
// and a row that counts the rest.
func (l *Live) rows() string {
	width, height := 80, 24
	if l.o.Size != nil {
		if w, h := l.o.Size(); w > 0 && h > 0 {
			width, height = w, h
		}
	}
	var failing, failed, running []*buildState
	waiting, ended := 0, 0
	for _, c := range l.state.states() {
		switch {
		case c.ended:
			ended++
			if c.outcome != kiln.OutcomeSuccess {
				failed = append(failed, c)
			}
		case c.started.IsZero():
			waiting++
		case c.failedIn != "":
			failing = append(failing, c)
		default:
			running = append(running, c)
		}
	}
	if len(running)+len(failing) == 0 {
		return ""
	}
	going := len(failing) + len(running)
	room := max(1, height/3)
	shown := pick(room, failed, append(failing, running...))
	var b strings.Builder
	var names []string
	nameWidth := 0
	for _, c := range shown {
		names = append(names, oneLine(c.name))
		nameWidth = max(nameWidth, min(ansi.StringWidth(c.name), width/3))
	}
	names = shorten(names, nameWidth)
	for i, c := range shown {
		colour := colours[c.index%len(colours)]
		if c.failedIn != "" {
			colour = red
		}
		b.WriteString(l.paint(l.row(c, pad(names[i], nameWidth), width), colour) + "\n")
		l.drawn++
	}
	if len(l.state.order) > len(shown) {
		text := fmt.Sprintf("%d running, %d waiting, %d done", going, waiting, ended)
		if len(failed) > 0 {
			text += fmt.Sprintf(" (%d failed)", len(failed))
		}
		b.WriteString(ansi.Truncate(text, width-1, "…") + "\n")
		l.drawn++
	}
	return b.String()
}

// pick chooses the builds that have a row, as many as there is room for: those that
// failed first, but never so many that none of those that go on is seen.
func pick(room int, failed, going []*buildState) []*buildState {
	most := max(room/2, room-len(going))
	failed = failed[max(0, len(failed)-most):] // the newest
	going = going[:min(len(going), room-len(failed))]
	return append(failed[:len(failed):len(failed)], going...)
}

// row is one build: name, time, phase, step, progress or last line, as far as the
// window is wide.
func (l *Live) row(c *buildState, name string, width int) string {
	if c.ended {
		text := fmt.Sprintf("%s %6s  failed in %s: %s", name, c.took.Round(time.Second), c.failedIn, c.err)
		return ansi.Truncate(oneLine(text), width-1, "…")
	}
	elapsed := l.o.Now().Sub(c.started).Round(time.Second)
	text := fmt.Sprintf("%s %6s  %s", name, elapsed, c.phase)
	if c.failedIn != "" {
		text += "  failed in " + c.failedIn
	}
	if c.step != "" {
		step := fmt.Sprintf("step %d", c.number)
		if c.steps > 0 {
			step = fmt.Sprintf("step %d/%d", c.number, c.steps)
		}
		text += "  " + step + " " + c.step
	}
	switch {
	case c.progress.Kind != "" && c.progress.Total > 0:
		text += fmt.Sprintf("  %s %3d%% of %s", c.progress.Text, 100*c.progress.Done/c.progress.Total,
			byteCount(c.progress.Total))
	case c.progress.Kind != "" && c.progress.Done > 0:
		text += fmt.Sprintf("  %s %s", c.progress.Text, byteCount(c.progress.Done))
	case len(c.progress.Data) > 0: // of a machine that is not in yet
		text += "  " + c.progress.Text
	case len(c.lines) > 0 && c.step != "":
		text += "  " + c.lines[len(c.lines)-1]
	}
	return ansi.Truncate(oneLine(text), width-1, "…")
}

// oneLine is text on one line.
func oneLine(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(Clean(text))
}

func byteCount(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// Close gives the cursor back.
func (l *Live) Close() error {
	close(l.stop)
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.queue {
		l.show(e)
	}
	l.write(l.erase() + "\x1b[?25h")
	return l.err
}
