package kiln

// Access is where a communicator leads, and as whom. Provisioners that connect by
// themselves use it, and templates see it as build.Host and the like.
type Access struct {
	Type       string // of the communicator, such as ssh
	Host       string
	Port       int
	User       string
	Password   string
	PrivateKey string // that the builder gave the machine, PEM
	PublicKey  string // the public half, a line of authorized_keys

	PrivateKeyFile string // that the template names
	AgentAuth      bool   // the keys are those of the local agent
}

// secretKeys are those keys of data whose values are secret.
var secretKeys = []string{"Password", "SSHPrivateKey", "WinRMPassword"}

// data is what templates may know of it, by the keys that they use.
func (a Access) data() map[string]any {
	if a.Type == "" {
		return nil
	}
	all := map[string]any{
		"ConnType": a.Type, "Host": a.Host, "Port": a.Port, "User": a.User, "Password": a.Password,
		"SSHPrivateKey": a.PrivateKey, "SSHPublicKey": a.PublicKey,
		"SSHPrivateKeyFile": a.PrivateKeyFile, "SSHAgentAuth": a.AgentAuth, "WinRMPassword": "",
	}
	if a.Type == "winrm" {
		all["WinRMPassword"] = a.Password
	}
	return all
}

// SetAccess tells the build how its machine is reached. The secrets in it are
// hidden.
func (b *Build) SetAccess(a Access) {
	b.Hide(a.Password)
	b.Hide(a.PrivateKey)
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	b.state.access = a
}

// Access is how the machine is reached; its Type is empty where that is not known
// yet, or there is no way in.
func (b *Build) Access() Access {
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	return b.state.access
}
