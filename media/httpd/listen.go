package httpd

import (
	"cmp"
	"context"
	"hash/fnv"
	"io"
	"net"
	"time"

	"kiln"
	"kiln/media/port"
)

// portWait is how long a build waits for a port where all are taken: by other builds,
// which will end, or by something else, which may not.
const portWait = 30 * time.Minute

// listen takes a port. What was found free is held from that moment on, so that no two
// builds, of whatever process, have the same one. The search begins always at the same port
// for the same build: scripts are told the port, and a layer of one that was told another is
// not used again.
func (c *Config) listen(ctx context.Context, b *kiln.Build, limit time.Duration) (l net.Listener, err error) {
	low, high := c.ports()
	wanted := port.Range{
		Low: low, High: high, Address: cmp.Or(c.BindAddress, usualAddress),
		For: "the HTTP server", Fields: "http_port_min and http_port_max", Wait: limit,
	}
	err = wanted.Take(ctx, b, first(b), func(number int) (err error) {
		l, err = port.Listen(ctx, c.network(), wanted.Address, number)
		return err
	})
	return l, err
}

// first says where a build begins to search: somewhere, so that builds side by side do not
// meet, and always there.
func first(b *kiln.Build) int {
	sum := fnv.New32a()
	_, _ = io.WriteString(sum, b.Dir+"\x00"+b.Name)
	return int(sum.Sum32() >> 1)
}
