package kilntest

import (
	"io"
	"net"
	"sync"
	"time"
)

// Relay passes connections on to an address and delays every byte by the same
// time in each direction, without a limit on how much goes through.
type Relay struct {
	ln    net.Listener
	to    string
	delay time.Duration
}

// NewRelay starts a relay on a free loopback port. Delay is for one direction: half
// of what it adds to a round trip.
func NewRelay(to string, delay time.Duration) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{ln: ln, to: to, delay: delay}
	go r.serve()
	return r, nil
}

// Port is where it listens.
func (r *Relay) Port() int { return r.ln.Addr().(*net.TCPAddr).Port }

// Close stops taking connections.
func (r *Relay) Close() error { return r.ln.Close() }

func (r *Relay) serve() {
	for {
		in, err := r.ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			out, err := net.Dial("tcp", r.to)
			if err != nil {
				return
			}
			defer out.Close()
			var wg sync.WaitGroup
			wg.Go(func() { r.pass(out, in) })
			wg.Go(func() { r.pass(in, out) })
			wg.Wait()
		}()
	}
}

type parcel struct {
	due  time.Time
	data []byte
}

func (r *Relay) pass(to, from net.Conn) {
	// Room for what is on its way: plenty at any speed a test reaches.
	queue := make(chan parcel, 4096)
	go func() {
		defer close(queue)
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			if n > 0 {
				queue <- parcel{time.Now().Add(r.delay), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	broken := false
	for p := range queue {
		if wait := time.Until(p.due); wait > 0 {
			time.Sleep(wait)
		}
		if !broken {
			if _, err := to.Write(p.data); err != nil {
				broken = true
				from.Close()
			}
		}
	}
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

var _ io.Closer = (*Relay)(nil)
