// Package docker makes images from containers: a container is run from an image,
// provisioned, and committed as a new image or exported as a file.
package docker

import (
	"errors"
	"os"
	"strings"

	"github.com/moby/moby/api/types/container"

	"kiln"
	"kiln/communicator"
	"kiln/driver/docker"
)

// Builder makes one image.
type Builder struct {
	communicator.Config `kiln:",squash"`
	docker.Login        `kiln:",squash"`
	docker.Program      `kiln:",squash"`
	// The image to start from.
	Image string `kiln:"image,origin"`
	// Build a Dockerfile first, and start from what comes of it.
	Build *Bootstrap `kiln:"build,origin"`
	// Commit the container as an image.
	Commit bool `kiln:"commit,late"`
	// Throw the container away.
	Discard bool `kiln:"discard,late"`
	// Export the container's files as this tar file.
	ExportPath string `kiln:"export_path,late"`
	// Pull the image before it is run.
	Pull bool `kiln:"pull,default=true,origin"`
	// os/arch[/variant] of the image.
	Platform string `kiln:"platform"`
	// Options of docker run, the image as {{.Image}}, and perhaps a command. An option that makes no sense for
	// a build is refused, or has no effect and says so. A later engine's option needs that engine.
	RunCommand []string `kiln:"run_command,render=run"`
	// User that commands run as.
	ExecUser string `kiln:"exec_user"`
	// Dockerfile instructions for the committed image, such as "CMD [\"nginx\"]".
	Changes []string `kiln:"changes,late"`
	// Author of the committed image.
	Author string `kiln:"author,late"`
	// Message of the commit; none by default.
	Message string `kiln:"message,late"`
	// Give the container every privilege.
	Privileged bool `kiln:"privileged"`
	// Capabilities to add.
	CapAdd []string `kiln:"cap_add"`
	// Capabilities to take away.
	CapDrop []string `kiln:"cap_drop"`
	// Devices of the host, HOST[:CONTAINER[:PERMISSIONS]].
	Device []string `kiln:"device"`
	// Paths that are kept in memory.
	Tmpfs []string `kiln:"tmpfs"`
	// Folders of the host to see in the container: host path to container path. One that begins with a dot is
	// taken from the current folder.
	Volumes map[string]string `kiln:"volumes"`
	// Runtime of the container.
	Runtime string `kiln:"runtime"`
	// Where a folder that is shared with the host is mounted.
	ContainerDir string `kiln:"container_dir,default=/packer-files"`
	// What is uploaded belongs to the container's user.
	FixUploadOwner bool `kiln:"fix_upload_owner,default=true"`
	// The container runs Windows.
	WindowsContainer bool `kiln:"windows_container,refused=it needs a Docker engine on Windows, which this version does not know"`
}

// Bootstrap builds a Dockerfile.
type Bootstrap struct {
	// The Dockerfile.
	Path string `kiln:"path,required,file"`
	// Folder that the Dockerfile can copy from.
	Dir string `kiln:"build_dir,default=.,file"`
	// Build arguments.
	Arguments map[string]string `kiln:"arguments"`
	// Pull the images that it starts from.
	Pull *bool `kiln:"pull"`
	// Compress what is sent to the engine.
	Compress bool `kiln:"compress"`
	// os/arch[/variant] of the image.
	Platform string `kiln:"platform"`
}

// instructions are those that changes may have.
var instructions = []string{
	"CMD",
	"ENTRYPOINT",
	"ENV",
	"EXPOSE",
	"LABEL",
	"ONBUILD",
	"USER",
	"VOLUME",
	"WORKDIR",
	"HEALTHCHECK",
	"STOPSIGNAL",
	"SHELL",
}

// Validate reports all that is wrong.
func (c *Builder) Validate() error {
	var errs []error
	results := 0
	for _, is := range []bool{c.Commit, c.Discard, c.ExportPath != ""} {
		if is {
			results++
		}
	}
	switch {
	case results == 0:
		errs = append(
			errs,
			kiln.Invalid(
				"",
				"no artifact type specified: exactly one of commit, discard and export_path must be set",
			),
		)
	case results > 1:
		errs = append(
			errs,
			kiln.Invalid("", "more than one of commit, discard and export_path is set: exactly one must be"),
		)
	}
	if info, err := os.Stat(c.ExportPath); c.ExportPath != "" && err == nil && info.IsDir() {
		errs = append(errs, kiln.Invalid("export_path", "export_path must be a file, not a directory"))
	}
	switch {
	case c.Image == "" && c.Build == nil:
		errs = append(errs, kiln.Invalid("image", "image must be specified, or a build block"))
	case c.Image != "" && c.Build != nil:
		errs = append(errs, kiln.Invalid("build", "image and build cannot be used together"))
	}
	if c.Build != nil {
		if _, err := os.Stat(c.Build.Path); err != nil {
			errs = append(errs, kiln.Invalid("build", "Dockerfile: %v", err))
		}
	}
	for _, change := range c.Changes {
		word, _, _ := strings.Cut(strings.TrimSpace(change), " ")
		if !contains(instructions, strings.ToUpper(word)) {
			errs = append(
				errs,
				kiln.Invalid(
					"changes",
					"%q is no instruction that a commit can have: they are %s",
					change,
					strings.Join(instructions, ", "),
				),
			)
			continue
		}
		if err := setDirectly(&container.Config{}, change); err != nil && !errors.Is(err, errChange) {
			errs = append(errs, kiln.Invalid("changes", "%q: %v", change, err))
		}
	}
	if len(c.RunCommand) == 0 {
		c.RunCommand = []string{"-d", "-i", "-t", "--entrypoint=/bin/sh", "--", "{{.Image}}"}
	}
	run, err := checkRun(c.RunCommand)
	if err != nil {
		errs = append(errs, kiln.Invalid("run_command", "%v", err))
	}
	switch {
	case c.Platform == "":
		c.Platform = run.platform // the image is pulled for it, too
	case run.platform != "" && run.platform != c.Platform:
		errs = append(errs, kiln.Invalid("platform", "it is %s, and run_command says %s", c.Platform, run.platform))
	}
	for _, d := range c.Device {
		if _, err := deviceMapping(d); err != nil {
			errs = append(errs, kiln.Invalid("device", "%v", err))
		}
	}
	if c.Platform != "" {
		if _, err := platform(c.Platform); err != nil {
			errs = append(errs, kiln.Invalid("platform", "%v", err))
		}
	}
	return errors.Join(append(errs, c.Login.Check(), c.Program.Check(), c.Config.Check(false, "docker"))...)
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// Traits: what uploads take along, and the keys that this builder sets beside the common ones.
func (c *Builder) Traits() kiln.Traits {
	return kiln.Traits{
		ReapsAlone:  true,
		GivesOwners: !c.FixUploadOwner,
		Generates:   []string{"ImageSha256", "SourceImageDigest", "SourceImageSha256"},
	}
}
