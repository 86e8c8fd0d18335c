package vagrant

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"kiln/archive"
)

// provider is what boxes for one provider are like.
type provider struct {
	box func(w *work) (*contents, error)
	// reference: the box is no more than a reference to the artifact, which must stay.
	reference bool
}

// providers is the table of what boxes can be for, by the names that templates use.
var providers = map[string]provider{
	"aws":          {aws, true},
	"azure":        {azure, true},
	"digitalocean": {digitalOcean, true},
	"docker":       {docker, false},
	"file":         {all("file", nil), false},
	"google":       {google, true},
	"hyperv":       {hyperv, false},
	"libvirt":      {libvirt, false},
	"lxc":          {all("lxc", map[string]any{"version": "1.0.0"}), false},
	"parallels":    {parallels, false},
	"scaleway":     {scaleway, true},
	"virtualbox":   {virtualbox, false},
	"vmware":       {all("vmware_desktop", nil), false},
}

// providerOf is the table of providers by the builder identifier of artifacts.
var providerOf = map[string]string{
	"mitchellh.amazonebs":                 "aws",
	"mitchellh.amazon.instance":           "aws",
	"mitchellh.virtualbox":                "virtualbox",
	"mitchellh.vmware":                    "vmware",
	"mitchellh.vmware-esx":                "vmware",
	"vmware.desktop":                      "vmware",
	"pearkes.digitalocean":                "digitalocean",
	"packer.googlecompute":                "google",
	"hashicorp.scaleway":                  "scaleway",
	"packer.parallels":                    "parallels",
	"MSOpenTech.hyperv":                   "hyperv",
	"transcend.qemu":                      "libvirt",
	"kiln.post-processor.disk-convert":    "libvirt",
	"ustream.lxc":                         "lxc",
	"Azure.ResourceManagement.VMImage":    "azure",
	"packer.post-processor.docker-import": "docker",
	"packer.post-processor.docker-tag":    "docker",
	"packer.post-processor.docker-push":   "docker",
	"packer.file":                         "file",
}

// named is the metadata of a box for a provider.
func named(provider string) map[string]any { return map[string]any{"provider": provider} }

// all makes boxes with all files of the artifact.
func all(name string, more map[string]any) func(*work) (*contents, error) {
	return func(w *work) (*contents, error) {
		files, err := w.some(w.in.Files)
		if err != nil {
			return nil, err
		}
		x := &contents{files: files, metadata: named(name)}
		for k, v := range more {
			x.metadata[k] = v
		}
		return x, nil
	}
}

// some is flat, for files of which there must be some.
func (w *work) some(files []string) ([]archive.Entry, error) {
	if len(files) == 0 {
		return nil, errors.New("the artifact has no files that such a box is made of")
	}
	return w.flat(files)
}

// aws names the AMI of each region. The artifact's id is REGION:AMI,...
func aws(w *work) (*contents, error) {
	var lines []string
	for _, pair := range strings.Split(w.in.ID, ",") {
		region, ami, ok := strings.Cut(pair, ":")
		if !ok {
			return nil, fmt.Errorf("artifact id %q is not REGION:AMI,...", w.in.ID)
		}
		lines = append(lines, fmt.Sprintf("aws.region_config %s, ami: %s", ruby(region), ruby(ami)))
	}
	return &contents{metadata: named("aws"), vagrantfile: configure("aws", lines...)}, nil
}

// digitalOcean names the image. The artifact's id is REGION,...:IMAGE.
func digitalOcean(w *work) (*contents, error) {
	region, image, ok := strings.Cut(w.in.ID, ":")
	if !ok {
		return nil, fmt.Errorf("artifact id %q is not REGION:IMAGE", w.in.ID)
	}
	return &contents{metadata: named("digital_ocean"), vagrantfile: configure("digital_ocean",
		"digital_ocean.image = "+ruby(image), "digital_ocean.region = "+ruby(region))}, nil
}

// scaleway names the image. The artifact's id is REGION:IMAGE.
func scaleway(w *work) (*contents, error) {
	region, image, ok := strings.Cut(w.in.ID, ":")
	if !ok {
		return nil, fmt.Errorf("artifact id %q is not REGION:IMAGE", w.in.ID)
	}
	return &contents{metadata: named("scaleway"), vagrantfile: configure("scaleway",
		"scaleway.image = "+ruby(image), "scaleway.region = "+ruby(region))}, nil
}

func google(w *work) (*contents, error) {
	return reference(w, "google")
}

// docker names the image, which the box does not hold.
func docker(w *work) (*contents, error) {
	if strings.HasPrefix(w.in.ID, "sha256:") {
		w.b.Warn("the box refers to an image that only this engine has, by its id. Boxes for other machines are " +
			"made of what docker-push returns; keep_input_artifact = true keeps the image here.")
	}
	return reference(w, "docker")
}

// reference names the image by the artifact's id.
func reference(w *work, name string) (*contents, error) {
	if w.in.ID == "" {
		return nil, errors.New("the artifact has no id to refer to")
	}
	return &contents{metadata: named(name), vagrantfile: configure(name, name+".image = "+ruby(w.in.ID))}, nil
}

// azure names the managed image or the disk, which only the artifact's text tells.
func azure(w *work) (*contents, error) {
	says := map[string]string{}
	for _, line := range strings.Split(w.in.Text, "\n") {
		if key, value, ok := strings.Cut(line, ": "); ok {
			says[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	var lines []string
	switch {
	case says["ManagedImageId"] != "":
		lines = []string{"azure.location = " + ruby(says["ManagedImageLocation"]),
			"azure.vm_managed_image_id = " + ruby(says["ManagedImageId"])}
	case says["OSDiskUri"] != "":
		lines = []string{"azure.location = " + ruby(says["StorageAccountLocation"]),
			"azure.vm_vhd_uri = " + ruby(says["OSDiskUri"]), "azure.vm_operating_system = " + ruby(says["OSType"])}
	default:
		return nil, errors.New("the artifact's text names neither ManagedImageId nor OSDiskUri")
	}
	lines = append(lines, "override.winrm.transport = :ssl", "override.winrm.port = 5986")
	return &contents{metadata: named("azure"), vagrantfile: configure("azure", lines...)}, nil
}

// hypervTree finds the part of a path that Hyper-V gives a machine's files.
var hypervTree = regexp.MustCompile(`(Virtual Machines|Virtual Hard Disks|Snapshots)/.*$`)

// hyperv keeps the tree of the output folder, which the artifact's text ends with.
func hyperv(w *work) (*contents, error) {
	if len(w.in.Files) == 0 {
		return nil, errors.New("the artifact has no files")
	}
	dir := ""
	if i := strings.LastIndex(w.in.Text, ": "); i >= 0 {
		dir = strings.TrimSpace(w.in.Text[i+2:])
	}
	x := &contents{metadata: named("hyperv")}
	for _, path := range w.in.Files {
		name := under(dir, path)
		if dir == "" || name == "" {
			name = hypervTree.FindString(filepath.ToSlash(path))
		}
		if name == "" {
			return nil, fmt.Errorf("%s is neither in the folder that the artifact's text ends with nor in a folder "+
				"such as Virtual Machines", path)
		}
		e, err := w.file(path, name)
		if err != nil {
			return nil, err
		}
		x.files = append(x.files, e)
	}
	return x, nil
}

// What Parallels needs of a machine's folder, and what it does not.
var (
	bundle      = regexp.MustCompile(`[^/]+\.(pvm|macvm)/.*$`)
	unnecessary = regexp.MustCompile(`\.log$|\.[bB]ackup$|\.app/|/Windows Disks/`)
)

// parallels takes what is in the machine's folder.
func parallels(w *work) (*contents, error) {
	x := &contents{metadata: named("parallels")}
	for _, path := range w.in.Files {
		name := bundle.FindString(filepath.ToSlash(path))
		if name == "" || unnecessary.MatchString(path) {
			continue
		}
		e, err := w.file(path, name)
		if err != nil {
			return nil, err
		}
		x.files = append(x.files, e)
	}
	if len(x.files) == 0 {
		return nil, errors.New("no file of the artifact is in a folder *.pvm or *.macvm")
	}
	return x, nil
}
