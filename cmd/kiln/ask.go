package main

import (
	"bufio"
	"context"
	"strings"
	"sync"
	"time"

	"kiln"
	"kiln/internal/ui"
)

// asker asks a question of a build and waits for the answer.
type asker func(ctx context.Context, build, question string) (string, error)

// asker asks on the controlling terminal, one question at a time. Where there is
// none, or the output is for machines, nobody can be asked.
func (p *program) asker(sinks ui.Sink, f *buildFlags) asker {
	var one sync.Mutex
	return func(ctx context.Context, build, question string) (string, error) {
		if p.machine || f.output.value == "json" {
			return "", kiln.ErrNoPrompt
		}
		one.Lock()
		defer one.Unlock()
		tty, err := openTerminal()
		if err != nil || !foreground(tty) {
			if err == nil {
				tty.Close()
			}
			return "", kiln.ErrNoPrompt
		}
		sinks.Event(kiln.Event{Time: time.Now(), Kind: kiln.EventPrompt, Build: build, Text: question})
		type answer struct {
			text string
			err  error
		}
		got := make(chan answer, 1)
		go func() {
			text, err := bufio.NewReader(tty).ReadString('\n')
			got <- answer{strings.TrimSpace(text), err}
		}()
		defer tty.Close()
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case a := <-got:
			return a.text, a.err
		}
	}
}

// shellQuote makes text one word of a shell's command line.
func shellQuote(s string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:@%+,"
	if s != "" && strings.Trim(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
