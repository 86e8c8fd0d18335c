package httpd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"net"
	"strconv"
	"syscall"
	"time"

	"kiln"
)

// portWait is how long a build waits for a port where all are taken: by other builds,
// which will end, or by something else, which may not.
const portWait = 30 * time.Minute

// winInUse is what Windows says of a port that is taken.
const winInUse = syscall.Errno(10048)

// listen takes a port. What was found free is held from that moment on, so that no two
// builds, of whatever process, have the same one.
func (c *Config) listen(ctx context.Context, b *kiln.Build, limit time.Duration) (net.Listener, error) {
	low, high := c.ports()
	address := cmp.Or(c.BindAddress, usualAddress)
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		listener, err := c.try(ctx, b, address, low, high)
		if listener != nil || !busy(err) {
			return listener, err
		}
		taken := fmt.Sprintf("all ports from %d to %d on %s are taken", low, high, address)
		if pause == 20*time.Millisecond {
			b.Say("Waiting for a port for the HTTP server: %s", taken)
		}
		if err := kiln.Sleep(waiting, pause); ctx.Err() != nil {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%s, and none became free in %s: "+
				"give more of them by http_port_min and http_port_max", taken, limit)
		}
	}
}

// try tries each port once. Its error is that of a port that is taken, if one is.
func (c *Config) try(ctx context.Context, b *kiln.Build, address string, low, high int) (net.Listener, error) {
	var config net.ListenConfig
	var last error
	for port := range order(b.Dir+"\x00"+b.Name, low, high) {
		listener, err := config.Listen(ctx, c.network(), net.JoinHostPort(address, strconv.Itoa(port)))
		switch {
		case err == nil:
			return listener, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case busy(err):
			last = err
		case errors.Is(err, syscall.EACCES): // it is kept for the system; others may not be
			if !busy(last) {
				last = err
			}
		default:
			return nil, err // of the address: no port is better
		}
	}
	return nil, last
}

func busy(err error) bool { return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, winInUse) }

// order is the order in which ports are tried. It begins somewhere between low and high,
// so that builds side by side do not meet, and always at the same port for the same build:
// scripts are told the port, and a layer of one that was told another is not used again.
// The last is high, which Packer takes only where there is no other.
func order(build string, low, high int) iter.Seq[int] {
	return func(yield func(int) bool) {
		sum := fnv.New32a()
		_, _ = io.WriteString(sum, build)
		count := high - low
		for i := range count {
			if !yield(low + (int(sum.Sum32()%uint32(count))+i)%count) {
				return
			}
		}
		yield(high)
	}
}
