// Package httpd is the HTTP server from which a guest loads what its installer asks for:
// the files of a folder, or texts of the template.
package httpd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"kiln"
	"kiln/media/port"
)

// Config is what a template may say about the server: docs/compat/boot-and-media.md 2. A
// builder holds it with kiln:",squash", calls Validate in its own, and Start before the
// guest starts.
type Config struct {
	// A folder whose files are served to the guest over HTTP. Links in it are followed.
	Directory string `kiln:"http_directory,file"`
	// Texts that are served to the guest over HTTP, by their paths, which begin with a slash.
	Content map[string]string `kiln:"http_content"`
	// The lowest port that the server may take.
	PortMin int `kiln:"http_port_min,default=8000"`
	// The highest port that the server may take.
	PortMax int `kiln:"http_port_max,default=9000"`
	// Address of this machine that the server listens on; 0.0.0.0 by default, which is all IPv4 addresses.
	BindAddress string `kiln:"http_bind_address"`
	// Accepted, and without an effect: use http_bind_address.
	Interface string `kiln:"http_interface"`
	// Network to listen on: tcp, tcp4 or tcp6.
	NetworkProtocol string `kiln:"http_network_protocol,default=tcp"`
}

// What holds where the template gives nothing.
const (
	usualMin     = 8000
	usualMax     = 9000
	usualAddress = "0.0.0.0"
	usualNetwork = "tcp"
	maxPort      = port.Max
)

var networks = []string{"tcp", "tcp4", "tcp6", "unix", "unixpacket"}

// Wanted reports whether the template asks for a server.
func (c *Config) Wanted() bool { return c.Directory != "" || len(c.Content) > 0 }

// Validate reports all that is wrong. Whether the folder exists is seen by Start, as a
// step before that may make it.
func (c *Config) Validate() error {
	var errs []error
	if c.Directory != "" && len(c.Content) > 0 {
		errs = append(errs, kiln.Invalid("http_content",
			"http_content cannot be used in conjunction with http_dir. "+
				"Consider using the file function to load file in memory and serve them with http_content: "+
				"https://www.packer.io/docs/templates/hcl_templates/functions/file/file"))
	}
	for path := range c.Content {
		if !strings.HasPrefix(path, "/") {
			errs = append(errs, kiln.Invalid("http_content",
				"a path of http_content must begin with /, as %q does not", path))
		}
	}
	low, high := c.ports()
	if low > high {
		errs = append(errs, kiln.Invalid("http_port_min", "http_port_min must be less than http_port_max"))
	}
	for field, port := range map[string]int{"http_port_min": low, "http_port_max": high} {
		if port < 0 || port > maxPort {
			errs = append(errs, kiln.Invalid(field, "%s must be a port from 1 to %d, not %d", field, maxPort, port))
		}
	}
	if c.Interface != "" && c.BindAddress != "" {
		errs = append(errs, kiln.Invalid("http_interface",
			"either http_interface or http_bind_address can be specified"))
	}
	switch network := c.network(); {
	case !slices.Contains(networks, network):
		errs = append(errs, kiln.Invalid("http_network_protocol",
			"http_network_protocol is invalid. Must be one of: %v", networks))
	case strings.HasPrefix(network, "unix") && c.Wanted():
		errs = append(errs, kiln.Invalid("http_network_protocol",
			"no guest can load from a %s socket of this machine: use tcp, tcp4 or tcp6", network))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func (c *Config) ports() (low, high int) {
	return cmp.Or(c.PortMin, usualMin), cmp.Or(c.PortMax, usualMax)
}

func (c *Config) network() string { return cmp.Or(c.NetworkProtocol, usualNetwork) }

// Start starts the server and returns its port; 0 where the template asks for none. The
// build owns it: it ends when the build ends. GuestIP is this machine's address as the
// guest knows it, which is the builder's business; with the port it is told to all that
// comes later in the build.
func (c *Config) Start(ctx context.Context, b *kiln.Build, guestIP string) (port int, err error) {
	if c.Wanted() {
		if port, err = c.start(ctx, b); err != nil {
			return 0, err
		}
	}
	number := strconv.Itoa(port)
	b.Set("PackerHTTPIP", guestIP)
	b.Set("PackerHTTPPort", number)
	b.Set("PackerHTTPAddr", net.JoinHostPort(guestIP, number))
	return port, nil
}

func (c *Config) start(ctx context.Context, b *kiln.Build) (int, error) {
	handler, err := c.handler()
	if err != nil {
		return 0, err
	}
	s := &server{b: b, ended: make(chan struct{}), Server: http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		ErrorLog:          log.New(io.Discard, "", 0), // what guests do wrong is theirs
	}}
	owned := kiln.Resource{Kind: kiln.KindServer, ID: "http-" + kiln.RandomName(10)}
	if err := b.Own(owned, s.end); err != nil {
		return 0, err
	}
	listener, err := c.listen(ctx, b, portWait)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("Error finding port: %w", err), b.Forget(owned))
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	b.Say("Starting HTTP server on port %d", s.port)
	go s.serve(listener)
	return s.port, nil
}

// A server serves until the build ends.
type server struct {
	http.Server
	b     *kiln.Build
	port  int
	ended chan struct{}
}

func (s *server) serve(listener net.Listener) {
	defer close(s.ended)
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.b.Error("The HTTP server on port %d ended: %v", s.port, err)
	}
}

// end closes the port and all connections. That it cannot is no reason to fail the build.
func (s *server) end(context.Context) error {
	if s.port == 0 {
		return nil // it did not begin
	}
	if err := s.Close(); err != nil {
		s.b.Error("Failed closing http server on port %d: %v", s.port, err)
	}
	<-s.ended
	return nil
}

// headerTime is how long a guest may take to say what it wants. How long it takes to load
// it is not bounded: some are slow.
const headerTime = time.Minute

func (c *Config) handler() (http.Handler, error) {
	if len(c.Content) > 0 {
		return texts(clean(c.Content)), nil
	}
	info, err := os.Stat(c.Directory)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err != nil {
		return nil, fmt.Errorf("Error finding %q: %w", c.Directory, err)
	}
	return newFolder(c.Directory)
}
