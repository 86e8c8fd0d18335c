package kilntest

import (
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Relay passes connections on to an address and delays every byte by the same
// time in each direction, without a limit on how much goes through.
type Relay struct {
	ln    net.Listener
	to    string
	delay time.Duration

	mu    sync.Mutex
	conns []net.Conn
	left  int64         // bytes that may still go to the address; less than 0: any number
	held  chan struct{} // closed when no more may go
	cut   chan struct{} // closed by Cut
}

// NewRelay starts a relay on a free loopback port to a TCP address, or to the path of a
// socket. Delay is for one direction: half of what it adds to a round trip.
func NewRelay(to string, delay time.Duration) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{ln: ln, to: to, delay: delay, left: -1, held: make(chan struct{}), cut: make(chan struct{})}
	go r.serve()
	return r, nil
}

// Port is where it listens.
func (r *Relay) Port() int { return r.ln.Addr().(*net.TCPAddr).Port }

// Close stops taking connections.
func (r *Relay) Close() error { return r.ln.Close() }

// Hold lets only so many bytes more go to the address. The channel is closed when they
// have gone: what was on its way is then in the middle of it.
func (r *Relay) Hold(after int64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = after
	return r.held
}

// Cut ends all connections, to both sides at once, as the end of a process does.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.cut)
	for _, c := range r.conns {
		c.Close()
	}
	r.ln.Close()
}

// let waits until bytes may go, and says how many of them.
func (r *Relay) let(n int) int {
	r.mu.Lock()
	if r.left < 0 {
		r.mu.Unlock()
		return n
	}
	if n = int(min(int64(n), r.left)); n > 0 {
		r.left -= int64(n)
		r.mu.Unlock()
		return n
	}
	select {
	case <-r.held:
	default:
		close(r.held)
	}
	r.mu.Unlock()
	<-r.cut
	return 0
}

func (r *Relay) serve() {
	for {
		in, err := r.ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			network := "tcp"
			if strings.HasPrefix(r.to, "/") {
				network = "unix"
			}
			out, err := net.Dial(network, r.to)
			if err != nil {
				return
			}
			defer out.Close()
			r.mu.Lock()
			r.conns = append(r.conns, in, out)
			r.mu.Unlock()
			var wg sync.WaitGroup
			wg.Go(func() { r.pass(out, in, r.let) })
			wg.Go(func() { r.pass(in, out, func(n int) int { return n }) })
			wg.Wait()
		}()
	}
}

type parcel struct {
	due  time.Time
	data []byte
}

func (r *Relay) pass(to, from net.Conn, let func(int) int) {
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
		for data := p.data; !broken && len(data) > 0; {
			n := let(len(data))
			if _, err := to.Write(data[:n]); err != nil || n == 0 {
				broken = true
				from.Close()
			}
			data = data[n:]
		}
	}
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

var _ io.Closer = (*Relay)(nil)
