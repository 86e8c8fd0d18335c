package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"kiln"
)

// bridgeIP is this machine's address on a bridge.
func bridgeIP(name string) (string, error) {
	bridge, err := net.InterfaceByName(name)
	var all []net.Addr
	if err == nil {
		all, err = bridge.Addrs()
	}
	if err != nil {
		return "", fmt.Errorf("Error getting the bridge %s interface: %w", name, err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil {
			return ip.IP.String(), nil
		}
	}
	return "", fmt.Errorf("Error getting the bridge %s interface: cannot find any IPv4 address", name)
}

// guestIP is the guest's address on the bridge, which this machine knows when they have
// spoken to each other.
func (m *machine) guestIP(ctx context.Context) (string, error) {
	mac, err := m.cardAddress(ctx)
	if err != nil {
		return "", err
	}
	table, err := os.Open("/proc/net/arp")
	if err != nil {
		return "", err
	}
	defer table.Close()
	ip, err := neighbour(bufio.NewScanner(table), mac, m.cfg.NetBridge)
	if ip == "" && err == nil {
		err = fmt.Errorf("the guest (%s) has not been heard of on the bridge %s yet", mac, m.cfg.NetBridge)
	}
	return ip, err
}

// complete is the flag of an address that was answered for.
const complete = "0x2"

// neighbour looks for a card in the kernel's table of neighbours.
func neighbour(lines *bufio.Scanner, mac, device string) (string, error) {
	for lines.Scan() {
		// IP address, HW type, Flags, HW address, Mask, Device
		f := strings.Fields(lines.Text())
		if len(f) == 6 && f[2] == complete && f[5] == device && strings.EqualFold(f[3], mac) {
			return f[0], nil
		}
	}
	return "", lines.Err()
}

// cardAddress is the address of the card that is on the network user.0.
func (m *machine) cardAddress(ctx context.Context) (string, error) {
	if m.vm.Monitor == nil {
		return "", errEnded
	}
	for _, root := range []string{"/machine/peripheral", "/machine/peripheral-anon"} {
		out, err := m.vm.Monitor.Execute(ctx, "qom-list", map[string]string{"path": root})
		if err != nil {
			return "", err
		}
		var all []struct{ Name, Type string }
		if err := json.Unmarshal(out, &all); err != nil {
			return "", err
		}
		for _, one := range all {
			if !strings.HasPrefix(one.Type, "child<") {
				continue
			}
			device := root + "/" + one.Name
			if m.property(ctx, device, "netdev") == "user.0" {
				if mac := m.property(ctx, device, "mac"); mac != "" {
					return mac, nil
				}
			}
		}
	}
	return "", errors.New("no network card of the machine is on the network user.0")
}

// property is a text of a device; "" where it has none of that name.
func (m *machine) property(ctx context.Context, device, name string) string {
	out, err := m.vm.Monitor.Execute(ctx, "qom-get", map[string]string{"path": device, "property": name})
	var text string
	if err != nil || json.Unmarshal(out, &text) != nil {
		return ""
	}
	return text
}

// streamed is the last address of the ISO whose server lets parts of it be read.
func (m *machine) streamed(ctx context.Context) (string, error) {
	found := ""
	var last error
	for _, url := range m.cfg.ISO.Addresses() {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
		if err != nil {
			return "", kiln.Invalid("iso_url", "%w", err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err
			continue
		}
		res.Body.Close()
		if res.StatusCode/100 == 2 && res.Header.Get("Accept-Ranges") == "bytes" {
			found = url
		}
	}
	switch {
	case found != "":
		return found, nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case last != nil:
		return "", fmt.Errorf("No byte serving support. The HTTP server must support Accept-Ranges=bytes: %w", last)
	}
	return "", errors.New("No byte serving support. The HTTP server must support Accept-Ranges=bytes")
}
