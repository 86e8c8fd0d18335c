package kiln

import "context"

// A Connector is a communicator as a template configures it: a pointer to a struct
// with kiln tags, whose options a template writes beside those of the builder. A
// builder is given all that are listed, and one of them connects.
type Connector interface {
	// Validate is that of a [Validator]. Only the connector that the template
	// chose is asked.
	Validate() error
	// Alone reports what else the template must say where the builder knows nothing
	// of the machine: an address, a way to log in.
	Alone() error
	// Connect waits until the machine lets us in, and tells the build by
	// [Build.SetAccess] how that went.
	Connect(ctx context.Context, b *Build, t Target) (Communicator, error)
}

// Target is the machine to connect to, as its builder knows it. What a template
// says of the address wins.
type Target struct {
	// Host is asked for at each try, as it may not be known before the machine
	// runs. Nil: only the template knows it.
	Host   func(ctx context.Context) (string, error)
	Port   int      // 0: the template's, or the usual one
	Up     string   // what is known to be up already, such as "process 4242"; may be empty
	Keys   []string // private keys that the machine was given, PEM
	Public string   // public half of the first
}
