package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"kiln"
	"kiln/driver/process"
)

// maxSocket is how long the path of a socket may be on every system.
const maxSocket = 103

// StartTPM starts an emulated TPM, of version 1.2 or 2, and returns the path of the socket
// that leads to it. The build owns it with its state, which ends with the build.
func StartTPM(ctx context.Context, b *kiln.Build, old bool) (socket string, err error) {
	if runtime.GOOS == "windows" {
		return "", errors.New("vTPM is only supported on UNIX OSes for now")
	}
	program, err := exec.LookPath("swtpm")
	if err != nil {
		return "", fmt.Errorf("failed to locate swtpm (%w), this is required for vTPM support", err)
	}
	dir, _, err := b.TempDir("kiln-tpm-")
	if err != nil {
		return "", err
	}
	socket = filepath.Join(dir, "vtpm.sock")
	if len(socket) > maxSocket {
		return "", fmt.Errorf("the path of the TPM's socket is too long, %d bytes: "+
			"set TMPDIR to a folder with a shorter name than %s", len(socket), os.TempDir())
	}
	args := []string{"socket", "--tpmstate", "dir=" + dir, "--ctrl", "type=unixio,path=" + socket}
	if !old {
		args = append(args, "--tpm2")
	}
	log := filepath.Join(dir, "log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	p, err := process.Start(context.WithoutCancel(ctx), b, cmd)
	if err != nil {
		return "", fmt.Errorf("failed to start swtpm: %w", err)
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return socket, nil
		}
		select {
		case <-p.Done():
			m := &Machine{log: log}
			return "", m.described(fmt.Errorf("failed to start swtpm: %w", p.Wait()), log)
		default:
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return "", err
		}
	}
}
