package shell

import (
	"context"
	"strings"

	"kiln"
	"kiln/kilntest"
)

// lostAfterStart loses its connection once the script has said that it begins.
type lostAfterStart struct {
	kilntest.Local
	runs int
}

func (l *lostAfterStart) Run(ctx context.Context, cmd *kiln.Cmd) error {
	if !strings.Contains(cmd.Command, "kiln-started-") {
		return l.Local.Run(ctx, cmd)
	}
	l.runs++
	_ = l.Local.Run(ctx, cmd)
	return kiln.ErrConnectionLost
}
