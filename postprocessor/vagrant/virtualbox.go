package vagrant

import (
	"archive/tar"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"kiln"
	"kiln/archive"
)

// descriptorLimit is the most that the description of a machine may have, in bytes.
const descriptorLimit = 16 << 20

// virtualbox takes all files, those of an OVA one by one, and names the description box.ovf. The box
// keeps the machine's network address, by which its guest may have named its network card.
func virtualbox(w *work) (*contents, error) {
	x := &contents{metadata: named("virtualbox")}
	for _, file := range w.in.Files {
		if !strings.EqualFold(filepath.Ext(file), ".ova") {
			e, err := w.file(file, filepath.Base(file))
			if err != nil {
				return nil, err
			}
			x.files = append(x.files, e)
			continue
		}
		w.b.Say("Unpacking OVA: %s", file)
		members, err := w.members(file)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", file, err)
		}
		x.files = append(x.files, members...)
	}
	var ovf *archive.Entry
	for i, e := range x.files {
		if !strings.EqualFold(path.Ext(e.Name), ".ovf") {
			continue
		}
		if ovf != nil {
			return nil, fmt.Errorf("the artifact has more than one description: %s and %s", ovf.Name, e.Name)
		}
		ovf = &x.files[i]
	}
	if ovf == nil {
		return nil, errors.New("the artifact has no .ovf file, nor an .ova file with one")
	}
	mac, err := baseMAC(ovf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ovf.Name, err)
	}
	ovf.Name = "box.ovf"
	x.vagrantfile = "Vagrant.configure(\"2\") do |config|\n  config.vm.base_mac = " + ruby(mac) + "\nend\n"
	return x, nil
}

// members are the files in an OVA, by their base names. Each is read where it is.
func (w *work) members(ova string) ([]archive.Entry, error) {
	f, err := kiln.Open(w.ctx, ova)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return members(f, func(n int) (io.ReadCloser, error) { return w.member(ova, n) })
}

// members are the files in an OVA, which is a tar archive; open opens the nth.
func members(ova io.Reader, open func(n int) (io.ReadCloser, error)) ([]archive.Entry, error) {
	var all []archive.Entry
	err := files(ova, func(h *tar.Header, _ io.Reader) (bool, error) {
		n, name := len(all), path.Base(h.Name)
		if name == "." || name == ".." || name == "/" {
			return false, fmt.Errorf("%q is no name of a file", h.Name)
		}
		all = append(all, archive.Entry{
			Name: name, Mode: h.FileInfo().Mode(), Size: h.Size,
			Open: func() (io.ReadCloser, error) { return open(n) },
		})
		return false, nil
	})
	return all, err
}

// member is the nth file in an OVA.
func (w *work) member(ova string, n int) (io.ReadCloser, error) {
	f, err := kiln.Open(w.ctx, ova)
	if err != nil {
		return nil, err
	}
	var found io.Reader
	err = files(f, func(h *tar.Header, r io.Reader) (bool, error) {
		if n--; n >= 0 {
			return false, nil
		}
		found = archive.Progress(w.ctx, w.b, path.Base(h.Name), r)
		return true, nil
	})
	if err == nil && found == nil {
		err = errors.New("something writes to it")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", ova, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{found, f}, nil
}

// files calls do for each file of an archive, until that says that it is enough.
func files(r io.Reader, do func(*tar.Header, io.Reader) (bool, error)) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is not an OVA, or not whole: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue // a folder; all files are on one level
		}
		if enough, err := do(h, t); enough || err != nil {
			return err
		}
	}
}

// baseMAC is the address of the machine's first network card, by its description.
func baseMAC(ovf *archive.Entry) (string, error) {
	if ovf.Size > descriptorLimit {
		return "", fmt.Errorf("%d bytes are no description of a machine", ovf.Size)
	}
	r, err := ovf.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	return parseMAC(r)
}

// parseMAC finds in an OVF the attribute MACAddress of the adapter in slot 0, which VirtualBox adds.
func parseMAC(r io.Reader) (string, error) {
	for d := xml.NewDecoder(r); ; {
		token, err := d.Token()
		if err == io.EOF {
			return "", errors.New("it names no MACAddress for the network card in slot 0. VirtualBox writes one " +
				"unless export_opts has nomacs")
		}
		if err != nil {
			return "", fmt.Errorf("it is not a whole description: %w", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "Adapter" {
			is := map[string]string{}
			for _, a := range e.Attr {
				is[a.Name.Local] = a.Value
			}
			if is["slot"] == "0" && is["MACAddress"] != "" {
				return is["MACAddress"], nil
			}
		}
	}
}
