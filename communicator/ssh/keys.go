package ssh

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// KeyPair is a key that is made for one build.
type KeyPair struct {
	Private string // PEM
	Public  string // a line of authorized_keys
}

// NewKeyPair makes a key of the given type, with the forms of docs/compat/communicators.md
// 3.2: PKCS#8 for rsa and ecdsa, OpenSSH's own for ed25519. Bits of 0 mean the
// usual length.
func NewKeyPair(kind string, bits int, comment string) (*KeyPair, error) {
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, or(bits, 4096))
	case "ecdsa":
		curve := map[int]elliptic.Curve{256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()}[or(bits, 521)]
		if curve == nil {
			return nil, fmt.Errorf("no ecdsa key has %d bits", bits)
		}
		key, err = ecdsa.GenerateKey(curve, rand.Reader)
	case "", "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("keys of type %q are not made", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	pair := &KeyPair{Public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))}
	if comment != "" {
		pair.Public += " " + comment
	}
	if _, ok := key.(ed25519.PrivateKey); ok {
		block, err := ssh.MarshalPrivateKey(key, comment)
		if err != nil {
			return nil, err
		}
		pair.Private = string(pem.EncodeToMemory(block))
		return pair, nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	pair.Private = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return pair, nil
}
