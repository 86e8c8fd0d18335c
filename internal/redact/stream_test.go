package redact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kiln"
)

// TestStreamMasksAcrossWrites cuts a text with secrets in two and in single bytes.
func TestStreamMasksAcrossWrites(t *testing.T) {
	secrets := []string{"abcd", "abcdefg", "cdxyz", "pa ss\"word", "line one\nline two", "pin", "pi"}
	text := "x abcdefg abcd abcde abcdxyz\npa ss\"word line one\nline two\nx pin pi spin pins abc abcd"
	var whole Redactor
	for _, s := range secrets {
		whole.Add(s)
	}
	want := "x <sensitive> <sensitive> <sensitive>e <sensitive>\n" +
		"<sensitive> <sensitive>\n<sensitive>\nx <sensitive> <sensitive> spin pins abc <sensitive>"
	for cut := range len(text) {
		var out bytes.Buffer
		s := whole.Stream(&out)
		fmt.Fprint(s, text[:cut])
		fmt.Fprint(s, text[cut:])
		s.Flush()
		// Within one write a secret of two lines is masked as a whole.
		if got := strings.ReplaceAll(out.String(), "<sensitive>\n<sensitive>", "<sensitive>"); got !=
			strings.ReplaceAll(want, "<sensitive>\n<sensitive>", "<sensitive>") {
			t.Fatalf("cut at %d: %q", cut, out.String())
		}
	}
	var out bytes.Buffer
	s := whole.Stream(&out)
	for i := range len(text) {
		s.Write([]byte{text[i]})
	}
	s.Flush()
	if out.String() != want {
		t.Errorf("byte by byte: %q", out.String())
	}
}

func TestStreamShowsAtOnce(t *testing.T) {
	var r Redactor
	var out bytes.Buffer
	s := r.Stream(&out)
	r.Add("secret")
	for _, step := range []struct{ write, shown string }{
		{"Password: ", "Password: "}, {"\nnext line\n", "Password: \nnext line\n"},
		{"se", "Password: \nnext line\n"},
		{"nd\n", "Password: \nnext line\nsend\n"},
	} {
		fmt.Fprint(s, step.write)
		if out.String() != step.shown {
			t.Errorf("after %q: %q", step.write, out.String())
		}
	}
	fmt.Fprint(s, "sec")
	s.Flush()
	if !strings.HasSuffix(out.String(), "send\nsec") {
		t.Errorf("after a flush: %q", out.String())
	}
}

// TestStreamLaw writes texts of few letters in parts: however they are cut, what is shown is
// the same as of the whole, and holds no secret.
func TestStreamLaw(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(letters string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[rng.IntN(len(letters))]
		}
		return string(b)
	}
	for round := range 3000 {
		var r Redactor
		var secrets []string
		for range 1 + rng.IntN(4) {
			s := random("xy", 1+rng.IntN(9))
			secrets = append(secrets, s)
			r.Add(s)
		}
		text := random("xy p:<", rng.IntN(30))
		dumps := round%2 == 1
		for range rng.IntN(3) {
			s := secrets[rng.IntN(len(secrets))]
			at := rng.IntN(len(text) + 1)
			if dumps {
				s = fmt.Sprintf([]string{"%x", "% X"}[rng.IntN(2)], s)
			}
			text = text[:at] + s + text[at:]
		}
		var out bytes.Buffer
		s := r.Stream(&out)
		for rest := text; rest != ""; {
			n := 1 + rng.IntN(len(rest))
			fmt.Fprint(s, rest[:n])
			rest = rest[n:]
		}
		s.Flush()
		if want := r.mask(text); !dumps && out.String() != want {
			t.Fatalf("round %d: %q with %q: %q, in parts %q", round, text, secrets, want, out.String())
		}
		for _, s := range secrets {
			for _, shown := range []string{s, fmt.Sprintf("%x", s), fmt.Sprintf("% X", s)} {
				if !Short(s) && strings.Contains(out.String(), shown) {
					t.Fatalf("round %d: %q shows in %q", round, s, out.String())
				}
			}
		}
	}
}

type words map[string]any

type kind string

// TestValueKeepsSyntax masks texts and leaves keys, kinds and numbers.
func TestValueKeepsSyntax(t *testing.T) {
	var r Redactor
	for _, s := range []string{"1", "true", "name", "out", ","} {
		r.Add(s)
	}
	doc := words{"name": "my name", "kind": kind("out"), "n": 11, "ok": true, "none": nil,
		"user": map[string]any{"name": "x"}, "list": []any{"1", 1, nil}, "bytes": []byte("1"),
		"secret":   kiln.Secret("1"),
		"artifact": &kiln.Artifact{ID: "a 1,b", Data: map[string]any{"x": "1"}}}
	var out bytes.Buffer
	if err := r.Stream(&out).JSON(doc); err != nil {
		t.Fatal(err)
	}
	var got words
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	want := `map[artifact:map[builder_id: data:map[x:<sensitive>] id:a <sensitive>,b text:] bytes:PHNlbnNpdGl2ZT4= kind:out list:[<sensitive> 1 <nil>] ` +
		`n:11 name:my <sensitive> none:<nil> ok:true secret:<sensitive> user:map[<sensitive>:x]]`
	if fmt.Sprint(got) != want {
		t.Errorf("got %v", got)
	}
	if doc["name"] != "my name" || doc["user"].(map[string]any)["name"] != "x" {
		t.Error("the value itself was changed")
	}
	out.Reset()
	s := r.Stream(&out)
	if err := s.Record(func(f []string) string { return "1," + strings.Join(f, ",") }, "a 1,b", "x"); err != nil ||
		out.String() != "1,a <sensitive>,b,x" {
		t.Errorf("record %q, %v", &out, err)
	}
	var none any
	if value(&r, none) != nil {
		t.Error("nil became something")
	}
}

type list struct{ events []kiln.Event }

func (l *list) Event(e kiln.Event) { l.events = append(l.events, e) }
func (l *list) Close() error       { return nil }

func TestSinkMasksEveryText(t *testing.T) {
	var r Redactor
	r.Add("s3cr3t")
	var l list
	a := &kiln.Artifact{ID: "s3cr3t", Files: []string{"/s3cr3t"}, Tags: []string{"s3cr3t"},
		Resources: []kiln.Resource{{ID: "s3cr3t", Attrs: map[string]string{"s3cr3t": "s3cr3t"}}}}
	r.Sink(&l).Event(kiln.Event{Run: "s3cr3t", Kind: kiln.EventSay, Build: "s3cr3t", Component: "s3cr3t",
		Text: "s3cr3t", Error: "s3cr3t",
		Data: []string{"s3cr3t"}, Artifact: a, Resource: &kiln.Resource{ID: "s3cr3t"}})
	got := l.events[0]
	if got.Run != "s3cr3t" || got.Kind != kiln.EventSay {
		t.Errorf("%+v", got)
	}
	got.Run = ""
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), "s3cr3t") || strings.Count(string(text), "sensitive") != 12 {
		t.Errorf("%s, %v", text, err)
	}
	if a.ID != "s3cr3t" {
		t.Error("the artifact itself was changed")
	}
}

func BenchmarkSink(b *testing.B) {
	var r Redactor
	r.Add("s3cr3t")
	s := r.Sink(&list{})
	for b.Loop() {
		s.Event(kiln.Event{Kind: kiln.EventOut, Build: "null.x", Component: "provisioner.shell",
			Text: "a line of output"})
		s.(*sink).Sink.(*list).events = nil
	}
}
