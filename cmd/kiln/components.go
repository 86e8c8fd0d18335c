package main

import (
	"strings"

	"kiln"
	"kiln/builder/docker"
	"kiln/builder/file"
	"kiln/builder/null"
	"kiln/builder/qemu"
	"kiln/builder/virtualboxiso"
	"kiln/builder/virtualboxovf"
	"kiln/builder/virtualboxvm"
	"kiln/communicator/none"
	"kiln/communicator/ssh"
	"kiln/communicator/winrm"
	"kiln/datasource/http"
	nulldata "kiln/datasource/null"
	"kiln/driver/local"
	"kiln/postprocessor/artifice"
	"kiln/postprocessor/checksum"
	"kiln/postprocessor/compress"
	"kiln/postprocessor/diskconvert"
	"kiln/postprocessor/dockerimport"
	"kiln/postprocessor/dockerpush"
	"kiln/postprocessor/dockersave"
	"kiln/postprocessor/dockertag"
	"kiln/postprocessor/manifest"
	shelllocalpp "kiln/postprocessor/shelllocal"
	"kiln/postprocessor/vagrant"
	"kiln/provisioner/breakpoint"
	fileprov "kiln/provisioner/file"
	"kiln/provisioner/shell"
	"kiln/provisioner/shelllocal"
	"kiln/provisioner/sleep"
)

// components gives what kiln builds with. Tests add components of their own.
var components = builtIn

// builtIn is the one list of what kiln builds with. A new component is one
// line here.
func builtIn() kiln.Components {
	return kiln.Components{
		Builders: map[string]func() kiln.Builder{
			"docker": func() kiln.Builder { return new(docker.Builder) },
			"file":   func() kiln.Builder { return new(file.Builder) },
			"null":   func() kiln.Builder { return new(null.Builder) },
			"qemu":   func() kiln.Builder { return new(qemu.Builder) },

			"virtualbox-iso": func() kiln.Builder { return new(virtualboxiso.Builder) },
			"virtualbox-ovf": func() kiln.Builder { return new(virtualboxovf.Builder) },
			"virtualbox-vm":  func() kiln.Builder { return new(virtualboxvm.Builder) },
		},
		Communicators: map[string]func() kiln.Connector{
			"none":  func() kiln.Connector { return new(none.Config) },
			"ssh":   func() kiln.Connector { return new(ssh.Config) },
			"winrm": func() kiln.Connector { return new(winrm.Config) },
		},
		Provisioners: map[string]func() kiln.Provisioner{
			"breakpoint":  func() kiln.Provisioner { return new(breakpoint.Provisioner) },
			"file":        func() kiln.Provisioner { return new(fileprov.Provisioner) },
			"shell":       func() kiln.Provisioner { return new(shell.Provisioner) },
			"shell-local": func() kiln.Provisioner { return new(shelllocal.Provisioner) },
			"sleep":       func() kiln.Provisioner { return new(sleep.Provisioner) },
		},
		PostProcessors: map[string]func() kiln.PostProcessor{
			"artifice":      func() kiln.PostProcessor { return new(artifice.PostProcessor) },
			"checksum":      func() kiln.PostProcessor { return new(checksum.PostProcessor) },
			"compress":      func() kiln.PostProcessor { return new(compress.PostProcessor) },
			"disk-convert":  func() kiln.PostProcessor { return new(diskconvert.PostProcessor) },
			"docker-import": func() kiln.PostProcessor { return new(dockerimport.PostProcessor) },
			"docker-push":   func() kiln.PostProcessor { return new(dockerpush.PostProcessor) },
			"docker-save":   func() kiln.PostProcessor { return new(dockersave.PostProcessor) },
			"docker-tag":    func() kiln.PostProcessor { return new(dockertag.PostProcessor) },
			"manifest":      func() kiln.PostProcessor { return new(manifest.PostProcessor) },
			"shell-local":   func() kiln.PostProcessor { return new(shelllocalpp.PostProcessor) },
			"vagrant":       func() kiln.PostProcessor { return new(vagrant.PostProcessor) },
		},
		DataSources: map[string]func() kiln.DataSource{
			"http": func() kiln.DataSource { return new(http.DataSource) },
			"null": func() kiln.DataSource { return new(nulldata.DataSource) },
		},
	}
}

// reaper finds the component that destroys resources of an owner, such as
// builder.docker.
func reaper(owner string) (kiln.Reaper, bool) {
	kind, name, _ := strings.Cut(owner, ".")
	all := components()
	var component any
	switch kind {
	case "":
		return local.Reaper{}, true
	case "builder":
		component = made(all.Builders, name)
	case "communicator":
		component = made(all.Communicators, name)
	case "provisioner":
		component = made(all.Provisioners, name)
	case "post-processor":
		component = made(all.PostProcessors, name)
	case "data":
		component = made(all.DataSources, name)
	}
	r, ok := component.(kiln.Reaper)
	return r, ok
}

// made is a new component of a type; nil: there is none.
func made[T any](all map[string]func() T, name string) any {
	if newComponent := all[name]; newComponent != nil {
		return newComponent()
	}
	return nil
}
