package kiln

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// A Machine is a running thing that can become an image. Run state lives here.
type Machine interface {
	// Connect waits until the machine can be worked on and returns the way in.
	// It is called at most once.
	Connect(ctx context.Context) (Communicator, error)
	// Capture shuts the machine down and makes the artifact. The resources of
	// the artifact have been released from the build when it returns.
	Capture(ctx context.Context) (*Artifact, error)
}

// A Booted is a machine that was started from an artifact, and is thrown away.
type Booted interface {
	// Connect waits until the machine can be worked on and returns the way in.
	// It is called at most once.
	Connect(ctx context.Context) (Communicator, error)
}

// A LayerKey names the state of a machine by everything that led to it.
type LayerKey string

// A Checkpointer is a machine whose state can be kept and started from again.
type Checkpointer interface {
	// Resumed is the number of leading provisioners whose effect the machine
	// already holds, found among the keys of [Build.Layers] at Start.
	Resumed() int
	// Checkpoint keeps the present state under a key of [Build.Layers]. Last: no
	// provisioner comes after it, and it may be kept by Capture. ErrNotKept is a state that no
	// layer can hold, nor what follows from it; ErrNotNow one after which others can be kept.
	Checkpoint(ctx context.Context, key LayerKey, last bool) error
	// Overhead is about how long a Checkpoint takes, beyond what it saves Capture. By
	// it the states are chosen that are worth keeping.
	Overhead() time.Duration
}

// A Communicator runs commands and moves files on a machine. Its methods may be
// called from several goroutines.
type Communicator interface {
	// Run runs a command line with the machine's shell and returns when it has
	// ended and its output is copied. A command that ran and failed is an
	// *ExitError. One that did not start is a *StartError. A connection that
	// went away while the command ran is ErrConnectionLost.
	Run(ctx context.Context, cmd *Cmd) error
	// Upload puts one file or one tree on the machine, each file whole or not at all:
	// one that is cut off leaves nothing under its name.
	Upload(ctx context.Context, up *Upload) error
	// Download brings one file or one tree from the machine. A missing source
	// is ErrNotFound.
	Download(ctx context.Context, down *Download) error
	// Guest describes what is on the other side. It is the same for the whole
	// life of the communicator.
	Guest() Guest
	// Close ends the connection. The machine stays.
	Close() error
}

// Guest is what whoever writes commands for a machine must know of it. The zero
// value is a machine on which nothing can be run.
type Guest struct {
	OS    OS
	Shell Shell // that reads the command lines of Run
	// Terminal: commands run under a pseudo terminal, where standard input is not a
	// clean byte stream.
	Terminal bool
}

// OS is a family of operating systems.
type OS string

// The families that differ in paths and programs.
const (
	OSUnknown OS = ""
	OSUnix    OS = "unix" // slashes in paths, and the programs of POSIX
	OSWindows OS = "windows"
)

// Shell is a language of command lines.
type Shell string

// The shells that a communicator may lead to.
const (
	ShellNone       Shell = "" // nothing can be run
	ShellPOSIX      Shell = "sh"
	ShellPowerShell Shell = "powershell"
	ShellCmd        Shell = "cmd"
)

// Cmd is a command to run on a machine.
type Cmd struct {
	Command string
	Stdin   io.Reader // nil: empty
	Stdout  io.Writer // nil: thrown away
	Stderr  io.Writer // nil: thrown away
}

// Upload describes what goes to a machine. Either Content is set, or Source.
//
// A file that exists keeps its mode, whatever that of Source or Content is; a folder too.
// In a tree, links that stay within it and hard links stay what they are; what other links
// lead to is sent in their place.
type Upload struct {
	// Destination is the path on the machine. For a tree that is not
	// ContentsOnly it is the folder into which the tree's own folder goes if it
	// exists, and the name the tree gets if it does not.
	Destination string

	Content io.Reader   // one file from a stream
	Size    int64       // length of Content
	Mode    fs.FileMode // permission bits of Content; 0 means 0644

	Source       string // a local file or folder; its modes go along
	ContentsOnly bool   // put what is in Source into Destination, not Source itself

	Progress func(done int64) // told the bytes sent so far; may be nil
}

// Download describes what comes from a machine.
type Download struct {
	Source string    // path on the machine; a tree if Tree
	Writer io.Writer // where one file's content goes

	Tree         bool   // bring a whole folder, or all that a pattern with *?[ names
	Destination  string // local folder of a tree, made if missing
	ContentsOnly bool   // of a tree: what is in Source, not Source itself

	Progress func(done int64) // told the bytes received so far; may be nil
}

// Layer is the state of a machine that was kept.
type Layer struct {
	Key     LayerKey
	Size    int64 // bytes that it takes beyond the layer it was made from
	Created time.Time
}

// A LayerStore is a builder whose machines are Checkpointers.
type LayerStore interface {
	// FindLayer asks b for the layer keys of the start state, as Start does, and
	// returns how many provisioners a kept layer stands for, and what [Build.Last] says
	// if that is still there and would not be made again. It makes and changes nothing.
	// An error says why that is not known; b.Warn says what may yet change it.
	FindLayer(ctx context.Context, b *Build) (resumed int, last *Artifact, err error)
	// KeptLayers lists all layers. Configuration counts only as far as it says where
	// layers are.
	KeptLayers(ctx context.Context) ([]Layer, error)
	// RemoveLayer removes one. That it does not exist is success; one that others
	// stand on is an ErrConflict.
	RemoveLayer(ctx context.Context, key LayerKey) error
}

// A Finder is a component that can say whether what it made is still there.
type Finder interface {
	// Stands reports whether r is there and the same as when it was made. An error says
	// why that is not known.
	Stands(ctx context.Context, r Resource) (bool, error)
}
