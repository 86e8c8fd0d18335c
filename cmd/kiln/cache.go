package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kiln"
	"kiln/internal/download"
	"kiln/internal/engine"
	"kiln/internal/home"
)

type cacheFlags struct {
	all       bool
	everyone  bool
	maxSize   size
	olderThan time.Duration
	vars      pairs
	varFiles  texts
}

func (f *cacheFlags) define(fs *flag.FlagSet) {
	fs.Var(
		&f.vars,
		"var",
		"a secret variable of a template whose layers need it, `'name=value'`; may be repeated",
	)
	fs.Var(&f.varFiles, "var-file", "read secret variables from `FILE`; may be repeated")
	fs.BoolVar(&f.all, "all", false, "prune: remove every layer")
	fs.BoolVar(&f.everyone, "everyone", false, "also the layers of other users and other KILN_HOMEs")
	fs.Var(
		&f.maxSize,
		"max-size",
		"prune: remove the oldest layers until the rest fit into `SIZE`, such as 10G",
	)
	fs.DurationVar(
		&f.olderThan,
		"older-than",
		0,
		"prune: remove layers that were made longer ago than this `DURATION`, such as 168h",
	)
}

// defaultCacheSize bounds the layers where KILN_CACHE_SIZE says nothing.
const defaultCacheSize = 20 << 30

// size is a number of bytes, written with K, M, G or T.
type size struct {
	bytes int64
	set   bool // it was given
}

func (s *size) String() string { return showSize(s.bytes) }
func (s *size) Set(text string) (err error) {
	s.bytes, err = parseSize(text)
	s.set = true
	return err
}

// age is a duration that knows whether it was given.
type age struct {
	time.Duration
	given bool
}

func (a *age) Set(text string) (err error) {
	a.given = true
	if a.Duration, err = time.ParseDuration(text); err != nil || a.Duration < 0 {
		return fmt.Errorf("invalid age %q: write hours or smaller, such as 12h or 90m; 0 uses no layer", text)
	}
	return nil
}

func parseSize(text string) (int64, error) {
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(text)), "B"), "I")
	unit := int64(1)
	if i := strings.IndexAny(number, "KMGT"); i >= 0 && i == len(number)-1 {
		unit = 1 << (10 * (1 + strings.IndexByte("KMGT", number[i])))
		number = number[:i]
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*float64(unit) > 1<<62 {
		return 0, fmt.Errorf("invalid size %q: write 500M, 10G", text)
	}
	return int64(n * float64(unit)), nil
}

func showSize(n int64) string {
	for _, unit := range []string{"B", "K", "M", "G"} {
		if n < 1<<10 {
			return fmt.Sprintf("%d%s", n, unit)
		}
		n = (n + 1<<9) >> 10
	}
	return fmt.Sprintf("%dT", n)
}

var cacheCommand = &command{
	name: "cache", usage: "[options] ls|prune", synopsis: "list or remove kept layers",
	about: "Layers are the states of machines between steps. A build starts from the latest one\nthat its inputs still fit.\n  ls     lists them\n  prune  removes those that -all, -max-size or -older-than name; without an option\n         the oldest beyond KILN_CACHE_SIZE (default 20G)",
	run: func(ctx context.Context, p *program, c *call) error {
		var f cacheFlags
		c.optionsBehind()
		if err := c.parse(p, f.define, 1, 1); err != nil {
			return err
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		switch c.args[0] {
		case "ls", "list":
			return p.listLayers(ctx, &f)
		case "prune":
			return p.pruneLayers(ctx, &f)
		}
		return fmt.Errorf("cache knows ls and prune, not %q.", c.args[0])
	},
}

func (p *program) listLayers(ctx context.Context, f *cacheFlags) error {
	_, all, err := p.layers(ctx, f)
	if err != nil {
		return err
	}
	var total int64
	for _, l := range all {
		total += l.Size
		note := ""
		if l.record != nil {
			note = fmt.Sprintf(
				"  %s, oldest step %s ago",
				l.record.Build,
				engine.ShowAge(time.Since(l.record.Oldest())),
			)
		}
		p.say(
			"%s  %-8s %8s  %s%s",
			l.Key[:min(24, len(l.Key))],
			l.builder,
			showSize(l.Size),
			l.Created.Local().Format(time.DateTime),
			note,
		)
	}
	p.say("%d layer(s), %s", len(all), showSize(total))
	return nil
}

func (p *program) pruneLayers(ctx context.Context, f *cacheFlags) error {
	mine, all, err := p.layers(ctx, f)
	if err != nil {
		return err
	}
	limit := int64(f.maxSize.bytes)
	if !f.maxSize.set && f.olderThan == 0 && !f.all {
		if limit, err = cacheSize(); err != nil {
			return err
		}
		f.maxSize.set = true
	}
	removed, freed, err := prune(ctx, mine, all, func(l storedLayer, rest int64) bool {
		return f.all || f.olderThan > 0 && time.Since(l.Created) > f.olderThan ||
			f.maxSize.set && (rest > limit || limit == 0)
	})
	p.report(err)
	p.say("Removed %d layer(s), %s", removed, showSize(freed))
	if err != nil {
		return errReported
	}
	return nil
}

// prune removes layers, oldest first, as long as out says so. It is given the size
// of all that is still there. Those chosen go newest first: a layer cannot go
// before the layers that stand on it.
func prune(
	ctx context.Context, mine *engine.Layers, all []storedLayer, out func(l storedLayer, rest int64) bool,
) (removed int, freed int64, err error) {
	var rest int64
	for _, l := range all {
		rest += l.Size
	}
	var errs []error
	var chosen []storedLayer
	for _, l := range all {
		if out(l, rest) {
			chosen = append(chosen, l)
			rest -= l.Size
		}
	}
	for _, l := range slices.Backward(chosen) {
		err := l.store.RemoveLayer(ctx, l.Key)
		if errors.Is(err, kiln.ErrConflict) {
			continue // it is in use, and frees nothing by going
		}
		if err == nil {
			err = mine.Forget(l.Key)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove layer %s: %w", l.Key, err))
			continue
		}
		removed, freed = removed+1, freed+l.Size
	}
	return removed, freed, errors.Join(errs...)
}

func cacheSize() (int64, error) {
	text := os.Getenv("KILN_CACHE_SIZE")
	if text == "" {
		return defaultCacheSize, nil
	}
	n, err := parseSize(text)
	if err != nil {
		return 0, fmt.Errorf("KILN_CACHE_SIZE: %w", err)
	}
	return n, nil
}

// cacheSettings are what flags and environment say about layers. A wrong one is an error
// before anything starts.
type cacheSettings struct {
	none, all bool
	maxAge    time.Duration
}

func (p *program) cacheSettings(none bool, maxAge age) (c cacheSettings, err error) {
	c = cacheSettings{none: none, maxAge: maxAge.Duration}
	switch word := os.Getenv("KILN_CACHE"); word {
	case "on":
	case "all":
		c.all = true
	case "":
		c.none = none || p.asPacker()
	case "off":
		c.none = true
	default:
		return c, fmt.Errorf("KILN_CACHE: invalid value %q: it is on, off or all", word)
	}
	if text := os.Getenv("KILN_CACHE_MAX_AGE"); text != "" && !maxAge.given {
		if err := maxAge.Set(text); err != nil {
			return c, fmt.Errorf("KILN_CACHE_MAX_AGE: %w", err)
		}
		c.maxAge = maxAge.Duration
	}
	_, err = cacheSize()
	return c, err
}

// openLayers opens the layers of this home, with engine.OpenLayers or ReadLayers, as they
// are asked for; nil: none are.
func openLayers(c cacheSettings, open func(dir string) (*engine.Layers, error)) (*engine.Layers, error) {
	if c.none {
		return nil, nil
	}
	dir, err := home.Open()
	if err != nil {
		return nil, err
	}
	l, err := open(filepath.Join(dir, "layers"))
	if err != nil {
		return nil, err
	}
	l.All, l.MaxAge, l.Checksum = c.all, c.maxAge, openDownloads(dir).Checksum
	return l, nil
}

// openDownloads is where a home keeps downloads: in the cache that Packer has too. Where there
// is none, that is an error of what is to be downloaded.
func openDownloads(home string) *download.Store {
	cache, _ := kiln.CacheDir()
	return download.New(filepath.Join(home, "downloads"), cache)
}

// trimLayers keeps the layers within their limit after a run that kept some.
func (p *program) trimLayers(ctx context.Context) {
	limit, err := cacheSize()
	if err != nil {
		p.fail("Warning: %v", err)
		return
	}
	mine, all, err := p.layers(ctx, new(cacheFlags))
	if err != nil {
		return // no engine, no layers
	}
	if _, _, err := prune(ctx, mine, all, func(_ storedLayer, rest int64) bool { return rest > limit }); err != nil {
		p.fail("Warning: %v", err)
	}
}
