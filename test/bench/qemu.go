//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kiln/kilntest/disk"
)

// guest is a machine's disk with what a template says of it.
type guest struct {
	*disk.Disk
	b *bench
}

// object is a piece of a JSON template.
type object = map[string]any

// template writes a JSON template, which both programs read.
func (g *guest) template(name string, change func(builder object), steps ...object) error {
	builder := object{
		"type": "qemu", "iso_url": g.Path, "iso_checksum": "none", "disk_image": true, "skip_resize_disk": true,
		"headless": true, "accelerator": "tcg", "memory": 256, "output_directory": "out", "ssh_username": "root",
		"ssh_private_key_file": g.KeyFile, "shutdown_command": "poweroff",
	}
	if change != nil {
		change(builder)
	}
	text, err := json.Marshal(object{"builders": []object{builder}, "provisioners": steps})
	if err != nil {
		return err
	}
	return g.b.write(name, string(text))
}

func script(lines ...string) object { return object{"type": "shell", "inline": lines} }

// own is how long the guest itself takes from its start to its end, with nothing around it.
func (g *guest) own() (time.Duration, error) {
	overlay := filepath.Join(g.b.dir, "own.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", g.Path, "-F", "qcow2", overlay).
		CombinedOutput(); err != nil {
		return 0, fmt.Errorf("qemu-img: %w\n%s", err, out)
	}
	defer os.Remove(overlay)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	machine := exec.CommandContext(ctx, "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "256", "-display",
		"none", "-drive", "file="+overlay+",if=virtio", "-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:"+port+"-:22",
		"-device", "virtio-net,netdev=n")
	begin := time.Now()
	if err := machine.Start(); err != nil {
		return 0, err
	}
	for !speaks(port) {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("the guest does not come up: %w", ctx.Err())
		}
	}
	// The connection may end before the command does.
	_ = exec.CommandContext(ctx, "ssh", "-q", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-i", g.KeyFile, "-p", port, "root@127.0.0.1", "true; poweroff").Run()
	return time.Since(begin), machine.Wait()
}

// speaks reports whether an SSH server answers within a moment.
func speaks(port string) bool {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(250 * time.Millisecond))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.HasPrefix(line, "SSH-")
}

// qemu are the rows of virtual machines. Guests take their time, so each is measured twice at
// most.
func (b *bench) qemu() error {
	was := *rounds
	*rounds = min(was, 2)
	defer func() { *rounds = was }()
	d, err := disk.Make(context.Background(), "tiny")
	if err != nil {
		return err
	}
	g := &guest{&d, b}
	for _, do := range []func() error{g.outside, g.rebuild, g.parallel, g.typing} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) withoutOut() error { return os.RemoveAll(filepath.Join(b.dir, "out")) }

// outside is the time that a build adds to the guest's own.
func (g *guest) outside() error {
	if err := g.template("qemu.json", nil, script("true")); err != nil {
		return err
	}
	own := time.Duration(0)
	for range *rounds {
		took, err := g.own()
		if err != nil {
			return err
		}
		if own == 0 || took < own {
			own = took
		}
	}
	x, y, err := g.b.pair(g.b.withoutOut, []string{*kiln, "build", "-no-cache", "qemu.json"},
		[]string{*packer, "build", "qemu.json"})
	if err != nil {
		return err
	}
	row(fmt.Sprintf("qemu: disk image, script true, beside the guest's %s", own.Round(100*time.Millisecond)),
		max(0, x.wall-own), y.wall-own, "at most 1/4")
	return nil
}

// rebuild is a build of which nothing changed, or the last step, beside a cold one.
func (g *guest) rebuild() error {
	build := func(last string, more ...string) (time.Duration, error) {
		err := g.template("rebuild.json", nil, script("sleep 30; echo one >/root/one"), script("echo "+last))
		if err != nil {
			return 0, err
		}
		args := append([]string{"build", "-force"}, more...)
		s, err := g.b.once(*kiln, append(args, "rebuild.json")...)
		return s.wall, err
	}
	cold, err := build("a")
	if err != nil {
		return err
	}
	same, err := build("a")
	if err != nil {
		return err
	}
	row("qemu: nothing changed, beside cold", same, cold, "under 1/20")
	changed, err := build("b")
	if err != nil {
		return err
	}
	row("qemu: last step changed, beside cold", changed, cold, "under 1/2")
	return nil
}

// parallel is eight builds side by side, beside one after the other. Their guests idle half
// of the time.
func (g *guest) parallel() error {
	var builders []object
	for i := range 8 {
		builders = append(builders, object{
			"name": fmt.Sprint("q", i), "type": "qemu", "iso_url": g.Path, "iso_checksum": "none",
			"disk_image": true, "skip_resize_disk": true, "headless": true, "accelerator": "tcg", "memory": 256,
			"output_directory": fmt.Sprint("out/", i), "ssh_username": "root", "ssh_private_key_file": g.KeyFile,
			"shutdown_command": "poweroff", "ssh_timeout": "10m",
		})
	}
	text, err := json.Marshal(object{"builders": builders, "provisioners": []object{script("sleep 10")}})
	if err != nil {
		return err
	}
	if err := g.b.write("eight.json", string(text)); err != nil {
		return err
	}
	var took [2]time.Duration
	for i, parallel := range []string{"8", "1"} {
		if err := g.b.withoutOut(); err != nil {
			return err
		}
		s, err := g.b.once(*kiln, "build", "-no-cache", "-parallel-builds="+parallel, "eight.json")
		if err != nil {
			return err
		}
		took[i] = s.wall
	}
	row("qemu: eight builds side by side, beside one by one", took[0], took[1], "at most 2/3")
	return nil
}

// typing is what 2,000 typed characters add to a build.
func (g *guest) typing() error {
	text := strings.Repeat(strings.Repeat("typed ", 16)+"now.", 20)
	var took [2]time.Duration
	for i, command := range []string{"", text} {
		err := g.template("typing.json", func(builder object) {
			builder["boot_wait"] = "1s"
			if command != "" {
				builder["boot_command"] = []string{command}
			}
		}, script("true"))
		if err != nil {
			return err
		}
		for n, args := range [][]string{{*kiln, "build", "-no-cache"}, {*packer, "build"}} {
			if err := g.b.withoutOut(); err != nil {
				return err
			}
			s, err := g.b.once(args[0], append(args[1:], "typing.json")...)
			if err != nil {
				return err
			}
			took[n] += time.Duration(2*i-1) * s.wall
		}
	}
	row("qemu: 2,000 typed characters", max(0, took[0]), took[1], "at most 1/5")
	return nil
}
