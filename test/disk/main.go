// Command disk makes a disk that tests boot, or finds it in the cache, and prints where it
// is and how to log in, as assignments for a shell:
//
//	eval "$(go run ./test/disk tiny)" && echo "$DISK $DISK_USER $DISK_PASSWORD $DISK_KEY"
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"kiln/kilntest/disk"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: disk NAME, which is one of %s\n", strings.Join(disk.Names(), ", "))
		os.Exit(2)
	}
	d, err := disk.Make(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("DISK=%s\nDISK_USER=%s\nDISK_PASSWORD=%s\nDISK_KEY=%s\n", d.Path, d.User, d.Password, d.KeyFile)
}
