package docker

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// attachment is a network that the container joins.
type attachment struct {
	Name     string
	Settings network.EndpointSettings
}

// network reads NAME, or fields such as name=NAME,alias=OTHER.
func (r *runArgs) network(v string) error {
	if !strings.Contains(v, "=") {
		r.networks = append(r.networks, attachment{Name: v})
		return nil
	}
	a := attachment{}
	s := &a.Settings
	err := fields(v, func(name, value string, given bool) (err error) {
		if !given {
			return fmt.Errorf("%q has no value", name)
		}
		switch name {
		case "name":
			a.Name = value
		case "alias":
			s.Aliases = append(s.Aliases, value)
		case "driver-opt":
			option, text, ok := strings.Cut(value, "=")
			if !ok {
				return fmt.Errorf("driver-opt %q is not of the form NAME=VALUE", value)
			}
			put(&s.DriverOpts, option, text)
		case "ip":
			made(&s.IPAMConfig).IPv4Address, err = netip.ParseAddr(value)
		case "ip6":
			made(&s.IPAMConfig).IPv6Address, err = netip.ParseAddr(value)
		case "link-local-ip":
			return linkLocal(s, value)
		case "mac-address":
			r.newer = append(r.newer, need{"mac-address", "1.44"})
			return mac(s, value)
		case "gw-priority":
			r.newer = append(r.newer, need{"gw-priority", "1.48"})
			s.GwPriority, err = strconv.Atoi(value)
		default:
			return fmt.Errorf("%q is not an option of a network", name)
		}
		return err
	})
	if err == nil && a.Name == "" {
		err = fmt.Errorf("%q names no network", v)
	}
	r.networks = append(r.networks, a)
	return err
}

// join gives the first network what options of their own say of it.
func (r *runArgs) join() error {
	if len(r.networks) > 1 {
		r.newer = append(r.newer, need{"more than one --network", "1.44"})
	}
	s := r.first
	if len(r.networks) > 0 && userDefined(r.networks[0].Name) {
		s.Links = r.host.Links // the engine looks for them there
	}
	if !isSet(s) && len(r.networks) == 0 {
		return nil
	}
	if len(r.networks) == 0 {
		r.networks = []attachment{{Name: network.NetworkDefault}}
	}
	first := &r.networks[0]
	if isSet(s) {
		if isSet(first.Settings) {
			return fmt.Errorf("what --network says of %s goes before options such as --ip and --network-alias, "+
				"which cannot be used together with it", first.Name)
		}
		first.Settings = s
	}
	r.host.NetworkMode = container.NetworkMode(first.Name)
	return nil
}

// named reports whether the container has a host name of its own.
func (r *runArgs) named() bool {
	return !r.host.UTSMode.IsHost() && !r.host.NetworkMode.IsHost() && !r.host.NetworkMode.IsContainer()
}

func userDefined(name string) bool { return container.NetworkMode(name).IsUserDefined() }

func isSet(s network.EndpointSettings) bool {
	return s.IPAMConfig != nil || s.Links != nil || s.Aliases != nil || s.DriverOpts != nil ||
		s.MacAddress != nil || s.GwPriority != 0
}

// networking is what the container is made with beside the mode of its network.
func (r *runArgs) networking() *network.NetworkingConfig {
	var c *network.NetworkingConfig
	for _, a := range r.networks {
		if len(r.networks) > 1 || isSet(a.Settings) {
			if c == nil {
				c = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{}}
			}
			c.EndpointsConfig[a.Name] = &a.Settings
		}
	}
	return c
}

func (r *runArgs) ip(v string) error {
	addr, err := netip.ParseAddr(v)
	if c := made(&r.first.IPAMConfig); addr.Is4() {
		c.IPv4Address = addr
	} else {
		c.IPv6Address = addr
	}
	return err
}

func (r *runArgs) linkLocal(v string) error { return linkLocal(&r.first, v) }

func linkLocal(s *network.EndpointSettings, v string) error {
	addr, err := netip.ParseAddr(v)
	c := made(&s.IPAMConfig)
	c.LinkLocalIPs = append(c.LinkLocalIPs, addr)
	return err
}

func (r *runArgs) mac(v string) error { return mac(&r.first, v) }

func mac(s *network.EndpointSettings, v string) error {
	addr, err := net.ParseMAC(v)
	s.MacAddress = network.HardwareAddr(addr)
	return err
}

func (r *runArgs) dns(v string) error {
	addr, err := netip.ParseAddr(v)
	r.host.DNS = append(r.host.DNS, addr)
	return err
}

// addHost reads NAME:ADDRESS or NAME=ADDRESS.
func (r *runArgs) addHost(v string) error {
	at := strings.IndexAny(v, ":=")
	if at <= 0 || at == len(v)-1 {
		return fmt.Errorf("%q is not of the form NAME:ADDRESS", v)
	}
	name, addr := v[:at], v[at+1:]
	if len(addr) > 2 && addr[0] == '[' && addr[len(addr)-1] == ']' {
		addr = addr[1 : len(addr)-1]
	}
	if addr != "host-gateway" {
		if _, err := netip.ParseAddr(addr); err != nil {
			return fmt.Errorf("invalid address %q", addr)
		}
	}
	r.host.ExtraHosts = append(r.host.ExtraHosts, name+":"+addr)
	return nil
}

func (r *runArgs) exposed(ports network.PortRange) {
	if r.config.ExposedPorts == nil {
		r.config.ExposedPorts = network.PortSet{}
	}
	for p := range ports.All() {
		r.config.ExposedPorts[p] = struct{}{}
	}
}

// expose reads PORT[-PORT][/PROTO].
func (r *runArgs) expose(v string) error {
	ports, err := network.ParsePortRange(v)
	if err != nil {
		return err
	}
	r.exposed(ports)
	return nil
}

// publish reads [[IP:]HOSTPORTS:]PORTS[/PROTO], where ports are one or a range.
func (r *runArgs) publish(v string) error {
	rest, inside := "", v
	if at := strings.LastIndexByte(v, ':'); at >= 0 {
		rest, inside = v[:at], v[at+1:]
	}
	ports, err := network.ParsePortRange(inside)
	if err != nil {
		return err
	}
	var ip netip.Addr
	outside := rest
	if at := strings.LastIndexByte(rest, ':'); at >= 0 {
		text := rest[:at]
		if outside = rest[at+1:]; strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			text = text[1 : len(text)-1]
		}
		if ip, err = netip.ParseAddr(text); err != nil {
			return err
		}
	}
	var host network.PortRange
	if outside != "" {
		if host, err = network.ParsePortRange(outside); err != nil {
			return err
		}
		if many := ports.End() - ports.Start(); many > 0 && host.End()-host.Start() != many {
			return fmt.Errorf("%q has not as many ports on the host as in the container", v)
		}
	}
	r.exposed(ports)
	if r.host.PortBindings == nil {
		r.host.PortBindings = network.PortMap{}
	}
	for p := range ports.All() {
		binding := network.PortBinding{HostIP: ip, HostPort: outside}
		if ports.End() != ports.Start() && outside != "" {
			binding.HostPort = strconv.Itoa(int(host.Start() + p.Num() - ports.Start()))
		}
		r.host.PortBindings[p] = append(r.host.PortBindings[p], binding)
	}
	return nil
}
