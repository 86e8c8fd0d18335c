package download

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kiln"
)

// TestMain lets the test program be a process that downloads.
func TestMain(m *testing.M) {
	if url := os.Getenv("DOWNLOAD_TEST_URL"); url != "" {
		b := kiln.NewBuild(kiln.Build{Name: "child"}, kiln.Host{})
		path, err := at(os.Getenv("DOWNLOAD_TEST_DIR")).Fetch(context.Background(), b,
			kiln.Remote{URL: url, Checksum: os.Getenv("DOWNLOAD_TEST_SUM")})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Print(path)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is a process that fetches into a store.
func child(t *testing.T, dir, url, sum string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "DOWNLOAD_TEST_URL="+url, "DOWNLOAD_TEST_DIR="+dir, "DOWNLOAD_TEST_SUM="+sum)
	cmd.Stderr = os.Stderr
	return cmd
}

// Of two processes that want the same file one loads it.
func TestTwoProcesses(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		time.Sleep(300 * time.Millisecond)
		whole(w, r, text, "")
	})
	dir := t.TempDir()
	paths := make(chan string)
	for range 2 {
		go func() {
			out, err := child(t, dir, s.URL, sha(text)).Output()
			if err != nil {
				t.Error(err)
			}
			paths <- string(out)
		}()
	}
	first, second := <-paths, <-paths
	if first != second {
		t.Errorf("%s and %s", first, second)
	}
	holds(t, first, text)
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A process that is killed in the middle leaves a part, which the next one goes on with.
func TestKilled(t *testing.T) {
	text := content(1)
	reached := make(chan bool, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			begin(w, text, `"a"`, 2<<20)
			reached <- true
			<-r.Context().Done()
			return
		}
		whole(w, r, text, `"a"`)
	})
	dir := t.TempDir()
	cmd := child(t, dir, s.URL, sha(text))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	until(func() bool { return partSize(t, dir) > 0 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	b, _ := build()
	path, err := quick(dir).Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Checksum: sha(text)})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, text)
	if asked := s.requests(); len(asked) != 2 || !strings.HasPrefix(asked[1], "bytes=") {
		t.Errorf("asked for %q", asked)
	}
}
