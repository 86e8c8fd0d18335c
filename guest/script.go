package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"kiln"
)

// ErrNotBegun is a script that never began to run, so that it may be tried again.
var ErrNotBegun = errors.New("the script did not start")

// ErrTaken is a script that was not brought because a file of its name is on the machine
// already, which is somebody else's.
var ErrTaken = errors.New("a file of that name is on the machine already")

// A Script is brought to a machine with a POSIX shell, run there, and taken away again.
type Script struct {
	Build   *kiln.Build
	Machine kiln.Communicator
	Owner   string // whose Reaper names what a crash left on the machine
	Path    string // on the machine
	Fresh   bool   // Path is a name that we chose: no file may have it
	VarPath string // of a file of variables beside it; "": none
	// RetryFor is how long to try again what did not begin, for a machine that is
	// restarting.
	RetryFor time.Duration
	Keep     bool // leave the script on the machine

	owned  []kiln.Resource
	stayed bool   // it could not be removed
	group  string // the number of its processes' group, where it was cancelled
}

// Run brings the script and its file of variables, and runs it by a command line. It is
// run only when all of it has arrived. Until it has begun to run, a failure of the
// connection is tried again; when it never did, the error is ErrNotBegun, and ErrTaken
// where its name is not free.
func (s *Script) Run(ctx context.Context, text []byte, vars, command string) error {
	if s.VarPath == "" {
		vars = ""
	}
	if err := s.own(); err != nil {
		return err
	}
	return s.settle(ctx, s.retry(ctx, func() error { return s.once(ctx, command, text, vars) }))
}

// RemoveTime is how long removing may take what the end of the build, or of the
// connection, has left on the machine: a cancelled build is to end within a second.
const RemoveTime = 800 * time.Millisecond

// Stays reports whether the machine is still there when the build is gone: it is not one
// that the build made.
func Stays(b *kiln.Build) bool {
	return !slices.ContainsFunc(b.Owned(), func(r kiln.Resource) bool {
		return r.Owner == "builder."+b.Type && r.Kind != kiln.KindLayer
	})
}

// On names a file on the build's machine, for people: USER@HOST:PORT and a colon come
// before it.
func On(b *kiln.Build, file string) string {
	a := b.Access()
	if a.Host == "" {
		return file
	}
	return fmt.Sprintf("%s@%s:%s", a.User, net.JoinHostPort(a.Host, fmt.Sprint(a.Port)), file)
}

// own writes down what is about to be put on a machine that stays when the build is
// gone. On one that the build made, it goes with the machine.
func (s *Script) own() error {
	if s.Keep || !Stays(s.Build) {
		return nil
	}
	all := []kiln.Resource{{Owner: s.Owner, Kind: "script", ID: On(s.Build, s.Path)}}
	if s.VarPath != "" {
		all = append(all, kiln.Resource{Owner: s.Owner, Kind: "variables", ID: On(s.Build, s.VarPath)})
	}
	for _, r := range all {
		if err := s.Build.Own(r, s.remove); err != nil {
			return err
		}
		s.owned = append(s.owned, r)
	}
	return nil
}

// settle strikes off what is no longer on the machine. What is left there by a lost
// connection, or by the end of the build, is removed now if that is quickly done, as
// there is no way to the machine when the build is closed.
func (s *Script) settle(ctx context.Context, err error) error {
	if len(s.owned) == 0 {
		return err
	}
	var exit *kiln.ExitError
	gone := !s.stayed && (err == nil || errors.As(err, &exit) || errors.Is(err, ErrTaken))
	if !gone {
		removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RemoveTime)
		defer cancel()
		gone = s.remove(removeCtx) == nil
	}
	if !gone {
		return err
	}
	return errors.Join(err, s.forget())
}

// forget strikes off what the build owned on the machine.
func (s *Script) forget() error {
	var errs []error
	for _, r := range s.owned {
		errs = append(errs, s.Build.Forget(r))
	}
	s.owned = nil
	return errors.Join(errs...)
}

// retry tries again what did not begin, until RetryFor is over.
func (s *Script) retry(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(s.RetryFor)
	delay := 100 * time.Millisecond
	for told := false; ; told = true {
		err := try()
		if err == nil || ctx.Err() != nil || s.Machine.Guest().Shell == kiln.ShellNone || !passing(err) {
			return err
		}
		pause := delay/2 + rand.N(delay)
		if time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("tried for %s: %w", s.RetryFor, err)
		}
		if !told {
			s.Build.Say("%v; trying again for up to %s...", err, s.RetryFor)
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return err
		}
		delay = min(2*delay, 2*time.Second)
	}
}

// passing reports whether an error may be gone after a while: that of a machine which is
// restarting, or which has not made the script's folder yet. Any other answer of the
// machine would be the same again.
func passing(err error) bool {
	var start *kiln.StartError
	if errors.As(err, &start) {
		return !start.Final
	}
	if !errors.Is(err, ErrNotBegun) {
		return false
	}
	var network *net.OpError
	return errors.Is(err, kiln.ErrConnectionLost) || errors.Is(err, kiln.ErrNotFound) ||
		errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// once makes one try.
func (s *Script) once(ctx context.Context, command string, text []byte, vars string) error {
	if g := s.Machine.Guest(); g.Terminal || g.Shell != kiln.ShellPOSIX {
		return s.inSteps(ctx, command, text, vars)
	}
	return s.atOnce(ctx, command, text, vars)
}

// RemoveAfterRestart removes the script once the machine answers again.
func (s *Script) RemoveAfterRestart(ctx context.Context) error {
	if s.Keep {
		return nil
	}
	err := s.retry(ctx, func() error {
		err := s.remove(ctx)
		var start *kiln.StartError
		if errors.Is(err, kiln.ErrConnectionLost) && !errors.As(err, &start) {
			// It may have met the machine on its way down.
			return &kiln.StartError{Err: err}
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.forget()
}

// remove removes the script, and ends it where it was cancelled: SSH servers pass no signal
// on to what runs as root, and let it run on.
func (s *Script) remove(ctx context.Context) error {
	command := "rm -f " + QuotePath(s.Path)
	if s.VarPath != "" {
		command += " " + QuotePath(s.VarPath)
	}
	if s.group != "" {
		command = Sh("kill -TERM -" + s.group + " 2>/dev/null; " + command)
	}
	if err := s.Machine.Run(ctx, &kiln.Cmd{Command: command}); err != nil {
		return fmt.Errorf("remove script from the machine: %w", err)
	}
	return nil
}

// folder is where the script goes on the machine.
func (s *Script) folder() string { return path.Dir(s.Path) }

// inSteps brings and runs the script with a call for each step, where standard input is
// no clean stream.
func (s *Script) inSteps(ctx context.Context, command string, text []byte, vars string) error {
	if s.VarPath != "" {
		if err := s.upload(ctx, "variables", s.VarPath, vars, 0o600); err != nil {
			return err
		}
	}
	if err := s.upload(ctx, "script", s.Path, string(text), 0o755); err != nil {
		if s.VarPath != "" {
			s.stayed = s.remove(ctx) != nil
		}
		return err
	}
	if !s.Fresh && s.Machine.Guest().Shell == kiln.ShellPOSIX {
		// A file that was there has kept its mode.
		if err := s.Machine.Run(ctx, &kiln.Cmd{Command: "chmod 0755 " + QuotePath(s.Path)}); err != nil {
			return fmt.Errorf("make script %s executable: %w: %w", s.Path, ErrNotBegun, err)
		}
	}
	stdout, stderr := s.Build.Output(kiln.EventOut), s.Build.Output(kiln.EventErr)
	err := s.Machine.Run(ctx, &kiln.Cmd{Command: command, Stdout: stdout, Stderr: stderr})
	stdout.Close()
	stderr.Close()
	if s.Keep || errors.Is(err, kiln.ErrConnectionLost) || ctx.Err() != nil {
		return err
	}
	rmErr := s.remove(ctx)
	s.stayed = rmErr != nil
	if err == nil {
		err = rmErr
	}
	return err
}

// upload brings one file. The communicator answers for its being whole.
func (s *Script) upload(ctx context.Context, what, name, text string, mode fs.FileMode) error {
	err := s.Machine.Upload(ctx, &kiln.Upload{
		Destination: name, Content: strings.NewReader(text), Size: int64(len(text)), Mode: mode,
	})
	if err == nil {
		return nil
	}
	var exit *kiln.ExitError
	if !passing(fmt.Errorf("%w: %w", ErrNotBegun, err)) && s.Machine.Guest().Shell == kiln.ShellPOSIX {
		look := s.Machine.Run(ctx, &kiln.Cmd{Command: "[ -d " + QuotePath(s.folder()) + " ]"})
		if errors.As(look, &exit) {
			err = s.noFolder()
		}
	}
	return fmt.Errorf("upload %s to %s: %w: %w", what, name, ErrNotBegun, err)
}

func (s *Script) noFolder() error {
	return fmt.Errorf("folder %s: %w on the machine", s.folder(), kiln.ErrNotFound)
}
