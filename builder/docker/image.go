package docker

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// containerConfig is the least that a container needs that is never started: the engine
// wants a command all the same.
func containerConfig(image string) *container.Config {
	return &container.Config{Image: image, Cmd: []string{"true"}}
}

// history is an entry of an image's history, one for each of its layers.
type history struct {
	Created   string `json:"created,omitempty"`
	CreatedBy string `json:"created_by,omitempty"`
	Author    string `json:"author,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// upper is one layer that stands above those of another image.
type upper struct {
	info   client.ImageInspectResult // settings of the image
	name   string                    // of the image
	lower  []string                  // digests of the layers below
	diffID string                    // digest of this one
	layer  *os.File
}

// Names of what is added to an archive. Those of the engines are not among them.
const (
	configEntry = "kiln/config.json"
	upperEntry  = "kiln/upper.tar"
	lowerEntry  = "kiln/lower.tar" // stands nowhere: the engine has it
)

// writeImage writes an image in the form that `docker load` reads (Docker Image
// Specification v1.2), whose lower layers are named and not sent: Docker's own store
// looks only for those that it does not have.
func writeImage(w io.Writer, up upper) error {
	out := tar.NewWriter(w)
	var paths []string
	for range up.lower {
		paths = append(paths, lowerEntry)
	}
	if err := up.add(out, paths); err != nil {
		return err
	}
	return out.Close()
}

// writeWhole writes the image with all its layers, for engines that want each of them
// (those with containerd's store, and podman). The lower ones come from an archive of the
// image below, as the engine saves it.
func writeWhole(w io.Writer, saved io.Reader, up upper) error {
	out, in := tar.NewWriter(w), tar.NewReader(saved)
	var manifest []savedImage
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		switch h.Name {
		case "manifest.json":
			if err := json.NewDecoder(in).Decode(&manifest); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
			continue
		case "index.json", "oci-layout", "repositories":
			continue // they name the image below
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
	if len(manifest) != 1 || len(manifest[0].Layers) != len(up.lower) {
		return fmt.Errorf("the engine saves %d image(s) in place of one with %d layers",
			len(manifest), len(up.lower))
	}
	if err := up.add(out, manifest[0].Layers); err != nil {
		return err
	}
	return out.Close()
}

// savedImage is an image in an archive.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// add adds the layer and what makes an image of it and those below.
func (up upper) add(out *tar.Writer, lower []string) error {
	type object = map[string]any
	info := up.info
	entries := []history{}
	for range up.lower {
		entries = append(entries, history{Created: info.Created, CreatedBy: "source image"})
	}
	entries = append(entries, history{Created: info.Created, Author: info.Author, Comment: info.Comment})
	config, err := json.Marshal(object{
		"architecture": info.Architecture, "variant": info.Variant, "os": info.Os, "os.version": info.OsVersion,
		"author": info.Author, "comment": info.Comment, "created": info.Created, "config": info.Config,
		"history": entries,
		"rootfs":  object{"type": "layers", "diff_ids": append(slices.Clone(up.lower), up.diffID)},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]savedImage{{
		Config: configEntry, RepoTags: []string{fullName(up.name)}, Layers: append(slices.Clone(lower), upperEntry),
	}})
	if err != nil {
		return err
	}
	size, err := up.layer.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := rewind(up.layer); err != nil {
		return err
	}
	return errors.Join(
		putEntry(out, configEntry, int64(len(config)), bytes.NewReader(config)),
		putEntry(out, upperEntry, size, up.layer),
		putEntry(out, "manifest.json", int64(len(manifest)), bytes.NewReader(manifest)),
	)
}

// fullName is one of our own names as every engine understands it: podman would take a
// short one in an archive for another.
func fullName(name string) string { return "docker.io/library/" + name }

func putEntry(out *tar.Writer, name string, size int64, content io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(out, content)
	return err
}
