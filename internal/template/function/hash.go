package function

import (
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/google/uuid"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/ssh"

	"kiln/internal/template/outside"
)

func hashes() map[string]function.Function {
	sum := func(h func() hash.Hash) function.Function {
		return text("str", func(s string) (string, error) {
			w := h()
			w.Write([]byte(s))
			return hex.EncodeToString(w.Sum(nil)), nil
		})
	}
	return map[string]function.Function{
		"md5": sum(md5.New), "sha1": sum(sha1.New), "sha256": sum(sha256.New), "sha512": sum(sha512.New),
		"bcrypt": bcryptFunc, "rsadecrypt": text2("ciphertext", "privatekey", rsaDecrypt, cty.String),
		"uuidv5": text2("namespace", "name", uuidV5, cty.String),
	}
}

// made are the functions whose results differ from call to call.
func made(w *outside.World) map[string]function.Function {
	fresh := func(value func() string) function.Function {
		return function.New(&function.Spec{
			Type: function.StaticReturnType(cty.String),
			Impl: func([]cty.Value, cty.Type) (cty.Value, error) { return cty.StringVal(w.Make(value)), nil },
		})
	}
	return map[string]function.Function{
		"uuidv4":    fresh(uuid.NewString),
		"timestamp": fresh(func() string { return time.Now().UTC().Format(time.RFC3339) }),
	}
}

var bcryptFunc = function.New(&function.Spec{
	Params:   []function.Parameter{{Name: "str", Type: cty.String}},
	VarParam: &function.Parameter{Name: "cost", Type: cty.Number},
	Type:     function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		cost := int64(bcrypt.DefaultCost)
		if len(args) > 2 {
			return cty.NilVal, errors.New("bcrypt() takes no more than two arguments")
		}
		if len(args) == 2 {
			cost, _ = args[1].AsBigFloat().Int64()
		}
		if cost > 20 {
			// Each step doubles the time; 20 is a minute already.
			return cty.NilVal, fmt.Errorf("cost %d is too high: 20 at most", cost)
		}
		out, err := bcrypt.GenerateFromPassword([]byte(args[0].AsString()), int(cost))
		if err != nil {
			return cty.NilVal, fmt.Errorf("error occurred generating password %w", err)
		}
		return cty.StringVal(string(out)), nil
	},
})

func rsaDecrypt(cipher, key string) (cty.Value, error) {
	b, err := base64.StdEncoding.DecodeString(cipher)
	if err != nil {
		return cty.NilVal, fmt.Errorf("failed to decode input %q: cipher text must be base64-encoded", cipher)
	}
	raw, err := ssh.ParseRawPrivateKey([]byte(key))
	if err != nil {
		return cty.NilVal, fmt.Errorf("the private key cannot be read: %w", err)
	}
	private, ok := raw.(*rsa.PrivateKey)
	if !ok {
		return cty.NilVal, fmt.Errorf("invalid private key type %T, an RSA key is required", raw)
	}
	//lint:ignore SA1019 the function is defined for this padding, and decrypts what the template's own key owner made
	out, err := rsa.DecryptPKCS1v15(nil, private, b)
	if err != nil {
		return cty.NilVal, fmt.Errorf("decrypt: %w", err)
	}
	return cty.StringVal(string(out)), nil
}

func uuidV5(namespace, name string) (cty.Value, error) {
	spaces := map[string]uuid.UUID{"dns": uuid.NameSpaceDNS, "url": uuid.NameSpaceURL, "oid": uuid.NameSpaceOID, "x500": uuid.NameSpaceX500}
	space, ok := spaces[namespace]
	if !ok {
		var err error
		if space, err = uuid.Parse(namespace); err != nil {
			return cty.NilVal, fmt.Errorf("uuidv5() doesn't support namespace %q: it is dns, url, oid, x500 or a UUID", namespace)
		}
	}
	return cty.StringVal(uuid.NewSHA1(space, []byte(name)).String()), nil
}
