package kilntest

import "time"

// SetPatience is for tests of components that break their promises.
func SetPatience(d time.Duration) { patience = d }
