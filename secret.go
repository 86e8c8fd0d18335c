package kiln

// Masked is what replaces a secret.
const Masked = "<sensitive>"

// Secret is text that hides itself from printing, JSON and logs.
type Secret string

func (Secret) String() string               { return Masked }
func (Secret) GoString() string             { return Masked }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Masked + `"`), nil }

// Reveal is the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }
