package ssh

// TemporaryKey says what the template wants of a key that is made for the build: its type
// and bits, and the name by which it is told from others; and whether it is to be taken
// out of the machine's authorized keys before that is captured.
func (c *Config) TemporaryKey() (kind string, bits int, name string, clear bool) {
	return c.TemporaryKeyPairType, c.TemporaryKeyPairBits, c.TemporaryKeyPairName, c.ClearAuthorizedKeys
}
